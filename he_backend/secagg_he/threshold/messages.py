"""What ThresholdCkks sends of its own; the rest is `secagg_protocols.dealing.messages`.

`EXCHANGE` says which follows which: ShareCheck at once, Encrypt when the vector is there.
"""

from __future__ import annotations

from typing import Annotated

from secagg_protocols.core.exchange import Binding, Exchange, Row, Sent
from secagg_protocols.core.fields import Block, Digest, at_most
from secagg_protocols.core.step import Step
from secagg_protocols.core.wire import Message, check_ascending
from secagg_protocols.dealing import messages as dealing
from secagg_protocols.dealing.messages import (
    AdvertiseKeys,
    ConsistencyCheck,
    OpenedSum,
    Participants,
    ShareKeys,
    SurvivorList,
    UnmaskRequest,
)
from secagg_protocols.primitives.domain import Use, digest

__all__ = ["EXCHANGE", "AdvertiseKeys", "Encrypt", "KeyList", "Opening", "SealedShares", "ShareCheck"]

CHALLENGE_BYTES = 32


class KeyList(dealing.KeyList, frozen=True, array_like=True, forbid_unknown_fields=True):
    """U₁, and the commitment (32 bytes) to the challenge that dealers will be checked with: the session names both."""

    commitment: Digest

    @property
    def digest(self) -> bytes:
        return digest(Use.CHALLENGED_KEY_LIST, super().digest, self.commitment)


class SealedShares(Message, frozen=True, array_like=True, forbid_unknown_fields=True):
    """As in the other protocols, and the challenge (32 bytes) that the session is bound to."""

    dealers: Participants
    challenge: Digest
    sealed: Annotated[memoryview, at_most("most_listed", "sealed_bytes")]

    def __post_init__(self) -> None:
        check_ascending("dealers", self.dealers)


class ShareCheck(Message, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What a holder says of its shares before anything is encrypted.

    missing: the dealers of whom it holds no valid share. values: for each dealer of U₂ in ascending order, `CHECKS`
    combinations of its share, 0 where it is missing; encoded as shares are, filled up with 0.
    """

    missing: Participants
    values: Annotated[memoryview, at_most("checks_bytes")]

    def __post_init__(self) -> None:
        check_ascending("missing", self.missing)


class Encrypt(Message, frozen=True, array_like=True, forbid_unknown_fields=True):
    """One block of cᵢ = a·sᵢ + eᵢ + Δ·mᵢ. block: from 0. words: coefficients in [0, q), little-endian."""

    block: Block
    words: Annotated[memoryview, at_most("block_bytes")]


class Opening(OpenedSum, frozen=True, array_like=True, forbid_unknown_fields=True):
    """The sum of key shares over U₃."""


EXCHANGE = Exchange(
    (
        Row(Step.ADVERTISE_KEYS, (), (Sent(AdvertiseKeys, Binding.ADDRESS),)),
        Row(Step.SHARE_KEYS, (Sent(KeyList, Binding.KEY_LIST),), (Sent(ShareKeys),)),
        Row(Step.ENCRYPT, (Sent(SealedShares),), (Sent(ShareCheck), Sent(Encrypt, many=True)), vector=True),
        Row(Step.CONSISTENCY_CHECK, (Sent(SurvivorList),), (Sent(ConsistencyCheck),), active=True),
        Row(Step.OPENING, (Sent(UnmaskRequest),), (Sent(Opening),)),
    )
)
