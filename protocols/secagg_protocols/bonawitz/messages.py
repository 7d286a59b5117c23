"""Messages of Bonawitz, named by the paper's steps. Each checks its own shape; the machines check the meaning.

`EXCHANGE` says which follows which.
"""

from __future__ import annotations

from ..core.exchange import Binding, Exchange, Row, Sent
from ..core.step import Step
from ..core.wire import Message, check_ascending, check_size
from ..dealing.messages import (
    NONCE_BYTES,
    ConsistencyCheck,
    KeyEntry,
    KeyList,
    SealedShares,
    ShareKeys,
    SurvivorList,
    UnmaskRequest,
    check_context_digest,
)

__all__ = [
    "EXCHANGE",
    "NONCE_BYTES",
    "AdvertiseKeys",
    "ConsistencyCheck",
    "KeyEntry",
    "KeyList",
    "MaskedInput",
    "SealedShares",
    "ShareKeys",
    "SurvivorList",
    "UnmaskRequest",
    "Unmasking",
]


class AdvertiseKeys(Message, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A participant's public keys for this round.

    channel_key: c_u^PK, for sealing shares. mask_key: s_u^PK, for pairwise masks. commitments: 32 bytes for each
    shared seed (self-mask seed first). share_root: Merkle root over the shares it deals (active; else empty).
    nonce: 16 fresh bytes. context_digest: 32 bytes, what this participant was sent; empty under `early_keys`.
    """

    channel_key: bytes
    mask_key: bytes
    commitments: bytes
    share_root: bytes
    nonce: bytes
    context_digest: bytes

    def __post_init__(self) -> None:
        check_size("nonce", self.nonce, NONCE_BYTES)
        check_context_digest(self.context_digest)


class MaskedInput(Message, frozen=True, array_like=True, forbid_unknown_fields=True):
    """One block of y_u, the masked packed vector. block: from 0. words: the words' low bytes, little-endian."""

    block: int
    words: memoryview


class Unmasking(Message, frozen=True, array_like=True, forbid_unknown_fields=True):
    """One share for each member of U₂ but those in `missing` (this holder got no valid share from them), ascending:
    of a survivor's self-mask seed, of a vanished participant's mask key. Never both. SHARE_BYTES each."""

    missing: tuple[int, ...]
    shares: memoryview

    def __post_init__(self) -> None:
        check_ascending("missing", self.missing)


EXCHANGE = Exchange(
    (
        Row(Step.ADVERTISE_KEYS, (), (Sent(AdvertiseKeys, Binding.ADDRESS),)),
        Row(Step.SHARE_KEYS, (Sent(KeyList, Binding.KEY_LIST),), (Sent(ShareKeys),)),
        Row(Step.MASKED_INPUT, (Sent(SealedShares),), (Sent(MaskedInput, many=True),), vector=True),
        Row(Step.CONSISTENCY_CHECK, (Sent(SurvivorList),), (Sent(ConsistencyCheck),), active=True),
        Row(Step.UNMASKING, (Sent(UnmaskRequest),), (Sent(Unmasking),)),
    )
)
"""Rounds 0 to 4 of figure 4."""
