"""A participant's contribution to one round of federated averaging, for every runtime that trains a model of arrays."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from secagg.codec import fit
from secagg_protocols import ProtocolViolation, SecAggError

from .audit import model_digest
from .context import check_received
from .site import Turn
from .terms import CodecTerms
from .updates import Arrays, layout_of, vector_of


@dataclass(frozen=True)
class Contribution:
    """A vector that is due, about a model that is the one that the round is about. arrays: the model. received: the
    digest of all that the trainer sees (`context.received_digest`)."""

    turn: Turn
    arrays: Arrays
    received: bytes

    def __post_init__(self) -> None:
        """Raise, before anybody trains, for another model, and for one whose update the scheme does not sum."""
        seat = self.turn.seat
        if seat is None or self.turn.refused or not self.turn.awaits_vector:
            raise ProtocolViolation("no vector is due from this participant")
        try:
            check_received(seat.proposal, self.received)
            fit(seat.scheme, CodecTerms.from_bytes(seat.proposal.terms).codec(layout_of(self.arrays)))
        except SecAggError as refused:
            self.turn.refuse(refused)
            raise

    def give(self, trained: Callable[[], tuple[Arrays, Mapping[str, object]]]) -> bytes:
        """Return the answers that carry the vector, or say why not. trained: returns what training changed, and what it
        reports."""
        seat = self.turn.seat
        assert seat is not None  # a vector was due
        terms = CodecTerms.from_bytes(seat.proposal.terms)
        return self.turn.contribute(
            lambda: vector_of(*trained(), terms, seat.scheme), self.received, model_digest(self.arrays)
        )
