"""A site in a runtime that sends it steps one way and the model another way, and trains between the two.

A step may come while training runs. Then it is answered, unless it is of another round: this site would promise a
vector, be waited for, and be missing from two rounds because of one delay.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from secagg_protocols import InputError, ProtocolViolation, RoundContext, SecAggError, StateError

from .audit import model_digest
from .policy import SitePolicy
from .request import Answers
from .site import Seat, Site, Turn
from .store import MemoryStore
from .terms import CodecTerms
from .updates import Arrays, vector_of

log = logging.getLogger("secagg.round")


@dataclass(frozen=True)
class Contribution:
    """A vector that is due. arrays: the model that its round is about."""

    turn: Turn
    seat: Seat
    arrays: Arrays

    def give(self, trained: Callable[[], tuple[Arrays, Mapping[str, object]]], seen: bytes) -> bytes:
        """Return the answers that carry the vector, or say why not (`reason`). trained: returns what training changed,
        and what it reports. seen: as in `Turn.contribute`: of what the trainer was shown in the end."""
        terms = CodecTerms.from_bytes(self.seat.proposal.terms)
        return self.turn.contribute(
            lambda: vector_of(*trained(), terms, self.seat.scheme), seen, model_digest(self.arrays)
        )

    @property
    def reason(self) -> str:
        """Why it is refused, as the aggregator is told; empty where it is not."""
        return self.turn.reason


class Participation:
    """One site in one job. Where its policy names no store it remembers as long as this lives: for a runtime in which
    that is the job's one process at this site."""

    def __init__(self, policy: SitePolicy, job: str) -> None:
        self._site = Site(policy, MemoryStore(), job, policy.codec_terms, check_free=self._check_free)
        self._turn: Turn | None = None
        self._training: dict[Hashable, RoundContext] = {}
        self._lock = threading.Lock()

    @classmethod
    def load(cls, policy: Path, job: str) -> Self:
        """Take part by the policy in a file. Raises what `SitePolicy.load` raises."""
        return cls(SitePolicy.load(policy), job)

    def answer(self, request: object) -> tuple[bytes, str]:
        """Take one step; return the answers, and why it is refused: an empty text where it is not."""
        with self._lock:
            turn = self._site.take(request if isinstance(request, bytes) else b"")
            if turn.seat is not None:
                self._turn = turn
        # What there is to say beside a vector goes along with it.
        return Answers().to_bytes() if turn.awaits_vector else turn.answers, turn.reason

    def check_trusts_server(self) -> None:
        """Raise what `SitePolicy.check_trusts_server` does."""
        self._site.policy.check_trusts_server()

    def begin(self, task: Hashable, number: object, arrays: Arrays, received: bytes) -> Contribution:
        """Begin to train, until `end`: raise, before that, where no vector is due, for another model or round than the
        proposal's, and for a model whose update the scheme does not sum. number: of the round, as the task has it.
        received: the digest of all that is to be shown to the trainer (`context.received_digest`)."""
        turn = self._turn
        if turn is None or turn.seat is None or turn.refused or not turn.awaits_vector:
            raise ProtocolViolation(
                "a task to train without a step of the protocol: this site gives no update outside secure aggregation"
            )
        proposal = turn.seat.proposal
        try:
            if type(number) is not int or number != proposal.round:
                raise InputError(f"the task is of round {str(number)[:20]}, the proposal of {proposal.round}")
            turn.seat.check_model(arrays, received)
        except SecAggError as refused:
            turn.refuse(refused)
            raise
        self._training[task] = proposal.context
        return Contribution(turn, turn.seat, arrays)

    def end(self, task: Hashable) -> None:
        """A task is over, whatever became of it, begun or not."""
        self._training.pop(task, None)

    def _check_free(self, context: RoundContext) -> None:
        for held in list(self._training.values()):
            if held != context:
                raise StateError(f"this site still trains for round {held.round}, and would bring no vector in time")
