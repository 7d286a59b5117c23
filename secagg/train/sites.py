"""The silos as sites of secure rounds, all in this process: each has its own keys, memory and log, as at home."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from secagg.round import MemoryStore, Proposal, Requests, Round, Site, SitePolicy, drive
from secagg.round.audit import Stamp, model_digest
from secagg.round.limits import Limits
from secagg.simulation.parties import make_identities, stream_of
from secagg_protocols import SERVER, Aggregator, Output, Randomness, RoundContext, Step

from .context import context_digest, received
from .model import Params
from .setup import Setup, randomness_for

WIDEST = 63
"""Bits of a value that a simulated site takes: whatever a scheme can sum."""

Vectors = Mapping[int, NDArray[np.unsignedinteger[Any]]]
"""Site to its encoded update."""


@dataclass(frozen=True)
class Question:
    """What one round is about. drop: site → the step that it does not live to send. spent: what its logs say of ε."""

    number: int
    model: Params
    drop: Mapping[int, str]
    spent: Stamp
    randomness: Randomness = field(repr=False)


@dataclass
class SecureRound:
    """One round, over sites that answer from their own memory. seen: what each received, as a digest. travelled: bytes
    of requests and answers; everything passes through the aggregator, so that is all traffic there is."""

    round: Round[int]
    sites: Mapping[int, Site]
    question: Question
    seen: bytes
    vectors: Vectors = field(repr=False)
    travelled: int = 0

    def __post_init__(self) -> None:
        self._step = self.round.server.scheme.steps[0]

    def run(self) -> Output:
        """Return the sum. Raises `RoundFailed`."""
        try:
            return drive(self.round, self._exchange)
        finally:
            self._tell_who_is_out()

    def _exchange(self, requests: Requests[int], uploads: bool) -> Iterator[tuple[int, bytes]]:
        self._tell_who_is_out()
        self._step = self.round.server.step
        for own in filter(self._is_there, requests):
            request = requests[own]
            answers = self._answer(own, request)
            self.travelled += len(request) + len(answers)
            yield own, answers

    def _answer(self, own: int, request: bytes) -> bytes:
        turn = self.sites[own].take(request)
        if not turn.awaits_vector:
            return turn.answers
        return turn.contribute(self.vectors[own], self.seen, model_digest(self.question.model))

    def _tell_who_is_out(self) -> None:
        aborts = self.round.aborts()
        for own in filter(self._is_there, aborts):
            self.sites[own].take(aborts[own])

    def _is_there(self, own: int) -> bool:
        """Whether a site has not vanished before the message of the step at hand."""
        drop = self.question.drop
        steps = self.round.server.scheme.steps
        return own not in drop or steps.index(self._step) < steps.index(Step(drop[own]))


class Sites:
    """All silos of a training, from its first round to its last."""

    def __init__(self, setup: Setup, job: str) -> None:
        self._setup = setup
        self._job = job
        self._stores = {silo.id: MemoryStore() for silo in setup.silos}
        door = randomness_for(setup.config, "identities")
        self._identities, self._roster = make_identities(setup.scheme, door)
        self._key, self._handle = setup.group_key or (None, None)

    def round(self, question: Question, vectors: Vectors) -> SecureRound:
        """Make one round, ready to run."""
        setup = self._setup
        codec = self._setup.codec.digest
        context = RoundContext(self._job, question.number, context_digest(question.model, setup.how, codec))
        server = setup.scheme.server(context, self._aggregator(question.randomness))
        rnd = Round(server, Proposal.of(setup.scheme, context, terms=codec), self._stores)
        sites = {own: self._site(own, question) for own in self._stores}
        return SecureRound(rnd, sites, question, received(question.model, setup.how), vectors)

    def _aggregator(self, randomness: Randomness) -> Aggregator:
        identity = self._identities.get(SERVER)
        return Aggregator(identity, self._roster, stream_of(randomness, "server"), self._handle)

    def _site(self, own: int, question: Question) -> Site:
        setup = self._setup
        policy = SitePolicy(
            floor=setup.policy,
            schemes=frozenset({setup.scheme.name}),
            limits=Limits(bits=WIDEST),
            roster=self._roster,
            identity=self._identities.get(own),
            group_key=self._key,
            audit=None if setup.trails is None else setup.trails.sites[own],
        )
        randomness = stream_of(question.randomness, f"participant {own}")
        return Site(policy, self._stores[own], self._job, randomness=randomness, spent=question.spent)
