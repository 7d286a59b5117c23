"""Messages of LightSecAgg. Each checks its own shape; the machines check the meaning.

| step | participant → server | server → participant |
|------|----------------------|----------------------|
| AdvertiseKeys | AdvertiseKeys | KeyList |
| ShareMasks | ShareMasks | SealedShares |
| MaskedInput | MaskedInput (one per block) | SurvivorList |
| Unmasking | Unmasking | – |
"""

from __future__ import annotations

from ..dealing.messages import NONCE_BYTES, KeyEntry, KeyList, SealedShares, SurvivorList
from ..wire import Message, check_ascending, check_size

__all__ = [
    "NONCE_BYTES",
    "AdvertiseKeys",
    "KeyEntry",
    "KeyList",
    "MaskedInput",
    "SealedShares",
    "ShareMasks",
    "SurvivorList",
    "Unmasking",
]

DIGEST_BYTES = 32


class AdvertiseKeys(Message, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A participant's public key for this round.

    channel_key: for sealing coded mask shares. nonce: 16 fresh bytes. context_digest: 32 bytes, what this participant
    was sent; empty under `early_keys`.
    """

    channel_key: bytes
    nonce: bytes
    context_digest: bytes

    def __post_init__(self) -> None:
        check_size("nonce", self.nonce, NONCE_BYTES)
        if self.context_digest:
            check_size("context_digest", self.context_digest, DIGEST_BYTES)


class ShareMasks(Message, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A dealer's coded mask shares, sealed for each member of the key list but itself, ascending, at equal lengths."""

    sealed: memoryview


class MaskedInput(Message, frozen=True, array_like=True, forbid_unknown_fields=True):
    """One block of x_u + z_u. block: from 0. words: field elements, `element_bytes` each, little-endian."""

    block: int
    words: memoryview


class Unmasking(Message, frozen=True, array_like=True, forbid_unknown_fields=True):
    """The sum, over U₁, of the coded shares that this holder has: field elements, `element_bytes` each, little-endian.

    missing: members of U₁ of whom it holds no valid share; it can then give no sum, and `share` is empty.
    """

    missing: tuple[int, ...]
    share: memoryview

    def __post_init__(self) -> None:
        check_ascending("missing", self.missing)
