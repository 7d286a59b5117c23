"""A site that trains by a function of its own, which an aggregator asks for by name: no code comes with the request."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from secagg_protocols import InputError, ParameterError, ProtocolViolation, Scheme, SecAggError
from secagg_protocols.errors import Declined

from .context import received_digest
from .expiry import check_expiry, is_over
from .packed import unpacked
from .policy import SitePolicy
from .site import Site
from .terms import Proposal
from .updates import Arrays, Integers, as_arrays, change, vector_of

Fit = Callable[[dict[str, Any], Any], tuple[Mapping[str, object], Mapping[str, object]]]
"""Trains: the model's arrays and the dataset → the trained arrays, and a report that has "num-examples"."""


class Training(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an update is asked of. function: by the name that sites registered it under. dataset: by the name that
    sites know. rounds: of the whole run. expires: as in a query."""

    function: str
    dataset: str
    rounds: int
    expires: str = ""

    def __post_init__(self) -> None:
        check_expiry(self.expires)
        if self.rounds < 1:
            raise ParameterError(f"rounds={self.rounds} is no number of rounds: give 1 or more")

    def received(self, arrays: Arrays) -> bytes:
        """Return the digest of what a site is sent with a model."""
        return received_digest(arrays, self.function, [self.dataset, self.rounds, self.expires])


@dataclass(frozen=True)
class OwnTraining:
    """functions, data: by the names that are asked for. now: a clock with a time zone."""

    policy: SitePolicy
    functions: Mapping[str, Fit]
    data: Mapping[str, Any]
    now: Callable[[], datetime]

    def check(self, training: Training, proposal: Proposal) -> None:
        """Raise `SecAggError` for what is never answered."""
        if training.function not in self.functions:
            raise Declined(f"this site has registered no function {training.function!r} that trains")
        if not 1 <= proposal.round <= training.rounds:
            raise ProtocolViolation(f"round {proposal.round} of a training of {training.rounds}: not answered")
        if is_over(training.expires, self.now()):
            raise Declined(f"the training has expired at {training.expires} (expires): ask anew")
        self.policy.codec_terms(proposal.terms)

    def words(self, training: Training, proposal: Proposal) -> str:
        """Say what is asked for."""
        terms = self.policy.codec_terms(proposal.terms)
        return "\n".join(
            [
                f"Your function {training.function!r} is to train a model on dataset {training.dataset!r}, "
                f"{training.rounds} times.",
                f"Only the mean of all sites' updates leaves the secure sum: {proposal.length} values, "
                f"by codec {terms.kind}.",
                f"It expires at {training.expires}." if training.expires else "It does not expire.",
                "The mean is exact: a model that was built to remember rows can give them away.",
            ]
        )

    def take(self, request: bytes, training: Training, model: bytes) -> bytes:
        """Take one request; return the answer. model: what came with the one that a vector answers (`packed`)."""
        turn = Site(self.policy, terms=self.policy.codec_terms, now=self.now).take(request)
        if not turn.awaits_vector:
            return turn.answers
        seat = turn.seat
        assert seat is not None
        try:
            arrays = unpacked(model)
        except SecAggError as error:
            return turn.refuse(error)
        return turn.contribute(
            lambda: self._update(training, arrays, seat.proposal, seat.scheme), training.received(arrays)
        )

    def _update(self, training: Training, arrays: Arrays, proposal: Proposal, scheme: Scheme) -> Integers:
        own = {name: one.copy() for name, one in arrays.items()}
        try:
            trained, report = self.functions[training.function](own, self.data[training.dataset])
        except Exception as error:  # of the site's own function, of whatever model it was sent: for its log alone
            raise InputError(f"function {training.function!r} failed: {type(error).__name__}: {error}") from error
        terms = self.policy.codec_terms(proposal.terms)
        return vector_of(change(arrays, as_arrays(trained)), report, terms, scheme)
