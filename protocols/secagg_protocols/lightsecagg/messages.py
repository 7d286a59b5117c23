"""Messages of LightSecAgg. Each checks its own shape; the machines check the meaning.

`EXCHANGE` says which follows which.
"""

from __future__ import annotations

from typing import Annotated

from ..core.exchange import Binding, Exchange, Row, Sent
from ..core.fields import Block, at_most
from ..core.step import Step
from ..core.wire import Message
from ..dealing.messages import AdvertiseKeys, KeyList, OpenedSum, SealedShares, ShareKeys, UnmaskRequest

__all__ = ["EXCHANGE", "AdvertiseKeys", "MaskedInput", "ShareMasks", "Unmasking"]


class ShareMasks(ShareKeys, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A dealer's coded mask shares, sealed as in `ShareKeys`. share_digests: empty."""


class MaskedInput(Message, frozen=True, array_like=True, forbid_unknown_fields=True):
    """One block of x_u + z_u. block: from 0. words: field elements, `element_bytes` each, little-endian."""

    block: Block
    words: Annotated[memoryview, at_most("block_bytes")]


class Unmasking(OpenedSum, frozen=True, array_like=True, forbid_unknown_fields=True):
    """The sum of coded shares over U₁: field elements, `element_bytes` each, little-endian."""


EXCHANGE = Exchange(
    (
        Row(Step.ADVERTISE_KEYS, (), (Sent(AdvertiseKeys, Binding.ADDRESS),)),
        Row(Step.SHARE_MASKS, (Sent(KeyList, Binding.KEY_LIST),), (Sent(ShareMasks),)),
        Row(Step.MASKED_INPUT, (Sent(SealedShares),), (Sent(MaskedInput, many=True),), vector=True),
        Row(Step.UNMASKING, (Sent(UnmaskRequest),), (Sent(Unmasking),)),
    )
)
