"""What ThresholdCkks sends of its own; the rest is `secagg_protocols.dealing.messages`.

| step | participant → server | server → participant |
|------|----------------------|----------------------|
| AdvertiseKeys | AdvertiseKeys | KeyList |
| ShareKeys | ShareKeys | SealedShares |
| Encrypt | Encrypt (one per block) | SurvivorList (active) or UnmaskRequest |
| ConsistencyCheck (active) | ConsistencyCheck | UnmaskRequest |
| Opening | Opening | – |
"""

from __future__ import annotations

from secagg_protocols.dealing.messages import NONCE_BYTES
from secagg_protocols.wire import Message, check_ascending, check_size

_DIGEST_BYTES = 32


class AdvertiseKeys(Message, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A participant's public key for this round.

    channel_key: for sealing key shares. nonce: 16 fresh bytes. context_digest: 32 bytes, what this participant was
    sent; empty under `early_keys`.
    """

    channel_key: bytes
    nonce: bytes
    context_digest: bytes

    def __post_init__(self) -> None:
        check_size("nonce", self.nonce, NONCE_BYTES)
        if self.context_digest:
            check_size("context_digest", self.context_digest, _DIGEST_BYTES)


class Encrypt(Message, frozen=True, array_like=True, forbid_unknown_fields=True):
    """One block of cᵢ = a·sᵢ + eᵢ + Δ·mᵢ. block: from 0. words: coefficients in [0, q), little-endian."""

    block: int
    words: memoryview


class Opening(Message, frozen=True, array_like=True, forbid_unknown_fields=True):
    """The sum, over U₃, of the key shares that this holder has: `share_bytes` long.

    missing: members of U₃ of whom it holds no valid share; it can then give no sum, and `share` is empty.
    """

    missing: tuple[int, ...]
    share: memoryview

    def __post_init__(self) -> None:
        check_ascending("missing", self.missing)
