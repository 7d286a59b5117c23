"""Messages of LightSecAgg. Each checks its own shape; the machines check the meaning.

| step | participant → server | server → participant |
|------|----------------------|----------------------|
| AdvertiseKeys | AdvertiseKeys | KeyList |
| ShareMasks | ShareMasks | SealedShares |
| MaskedInput | MaskedInput (one per block) | UnmaskRequest |
| Unmasking | Unmasking | – |
"""

from __future__ import annotations

from typing import Annotated

from ..core.fields import Block, at_most
from ..core.wire import Message
from ..dealing.messages import AdvertiseKeys, OpenedSum, ShareKeys

__all__ = ["AdvertiseKeys", "MaskedInput", "ShareMasks", "Unmasking"]


class ShareMasks(ShareKeys, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A dealer's coded mask shares, sealed as in `ShareKeys`. share_digests: empty."""


class MaskedInput(Message, frozen=True, array_like=True, forbid_unknown_fields=True):
    """One block of x_u + z_u. block: from 0. words: field elements, `element_bytes` each, little-endian."""

    block: Block
    words: Annotated[memoryview, at_most("block_bytes")]


class Unmasking(OpenedSum, frozen=True, array_like=True, forbid_unknown_fields=True):
    """The sum of coded shares over U₁: field elements, `element_bytes` each, little-endian."""
