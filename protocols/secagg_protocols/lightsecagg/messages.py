"""Messages of LightSecAgg. Each checks its own shape; the machines check the meaning.

| step | participant → server | server → participant |
|------|----------------------|----------------------|
| AdvertiseKeys | AdvertiseKeys | KeyList |
| ShareMasks | ShareMasks | SealedShares |
| MaskedInput | MaskedInput (one per block) | SurvivorList |
| Unmasking | Unmasking | – |
"""

from __future__ import annotations

from ..wire import Message, check_ascending, check_size

NONCE_BYTES = 16
DIGEST_BYTES = 32


class AdvertiseKeys(Message, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A participant's public key for this round.

    channel_key: for sealing coded mask shares. nonce: 16 fresh bytes. context_digest: 32 bytes, what this participant
    was sent.
    """

    channel_key: bytes
    nonce: bytes
    context_digest: bytes

    def __post_init__(self) -> None:
        check_size("nonce", self.nonce, NONCE_BYTES)
        check_size("context_digest", self.context_digest, DIGEST_BYTES)


class KeyEntry(Message, frozen=True, array_like=True, forbid_unknown_fields=True):
    """One participant's AdvertiseKeys as it came: encoded message and envelope signature (always empty here)."""

    participant: int
    payload: bytes
    signature: bytes


class KeyList(Message, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Everyone whose key arrived, ascending."""

    entries: tuple[KeyEntry, ...]

    def __post_init__(self) -> None:
        check_ascending("key list", tuple(entry.participant for entry in self.entries))


class ShareMasks(Message, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A dealer's coded mask shares, sealed for each member of the key list but itself, ascending, at equal lengths."""

    sealed: memoryview


class SealedShares(Message, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Who dealt, and what they sealed for this participant: one ciphertext from each but itself, ascending."""

    dealers: tuple[int, ...]
    sealed: memoryview

    def __post_init__(self) -> None:
        check_ascending("dealers", self.dealers)


class MaskedInput(Message, frozen=True, array_like=True, forbid_unknown_fields=True):
    """One block of x_u + z_u. block: from 0. words: field elements, `element_bytes` each, little-endian."""

    block: int
    words: memoryview


class SurvivorList(Message, frozen=True, array_like=True, forbid_unknown_fields=True):
    """U₁: whose masked inputs arrived; the sum will be over exactly these."""

    survivors: tuple[int, ...]

    def __post_init__(self) -> None:
        check_ascending("survivors", self.survivors)


class Unmasking(Message, frozen=True, array_like=True, forbid_unknown_fields=True):
    """The sum, over U₁, of the coded shares that this holder has: field elements, `element_bytes` each, little-endian.

    missing: members of U₁ of whom it holds no valid share; it can then give no sum, and `share` is empty.
    """

    missing: tuple[int, ...]
    share: memoryview

    def __post_init__(self) -> None:
        check_ascending("missing", self.missing)
