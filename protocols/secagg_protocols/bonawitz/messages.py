"""Messages of Bonawitz, named by the paper's steps. Each checks its own shape; the machines check the meaning.

`EXCHANGE` says which follows which.
"""

from __future__ import annotations

from typing import Annotated

from ..core.exchange import Binding, Exchange, Row, Sent
from ..core.fields import Block, Exactly, Nonce, PublicKey, at_most
from ..core.step import Step
from ..core.wire import Message, check_ascending
from ..dealing.messages import (
    NONCE_BYTES,
    ConsistencyCheck,
    ContextDigest,
    KeyEntry,
    KeyList,
    Participants,
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

    channel_key: PublicKey
    mask_key: PublicKey
    commitments: Annotated[bytes, Exactly("commitments_bytes")]
    share_root: Annotated[bytes, Exactly("share_root_bytes")]
    nonce: Nonce
    context_digest: ContextDigest

    def __post_init__(self) -> None:
        check_context_digest(self.context_digest)


class MaskedInput(Message, frozen=True, array_like=True, forbid_unknown_fields=True):
    """One block of y_u, the masked packed vector. block: from 0. words: the words' low bytes, little-endian."""

    block: Block
    words: Annotated[memoryview, at_most("block_bytes")]


class Unmasking(Message, frozen=True, array_like=True, forbid_unknown_fields=True):
    """One share for each member of U₂ but those in `missing` (this holder got no valid share from them), ascending:
    of a survivor's self-mask seed, of a vanished participant's mask key. Never both. SHARE_BYTES each."""

    missing: Participants
    shares: Annotated[memoryview, at_most("most_listed", "opened_bytes")]

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
