"""What a round ended with, as plain data: for logs, reports and the audit record. Never a vector but the sum."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic

from secagg_protocols import Correction, Dropout, Output, RoundFailed, SecAggError, Server, Step

from .terms import Peer, Proposal


@dataclass(frozen=True, slots=True)
class Refused(Generic[Peer]):
    """What was refused of whom and why, in one line. peer: whoever sent it, known to the round or not.

    error: what the aggregator refused it with; None where the site itself refused, and says so.
    """

    peer: Peer
    step: Step | None
    reason: str
    error: SecAggError | None = None

    @property
    def by_site(self) -> bool:
        """Whether the site refused, and not the aggregator."""
        return self.error is None

    def __str__(self) -> str:
        at = f" at {self.step}" if self.step is not None else ""
        return f"{self.peer} refuses{at}: {self.reason}" if self.by_site else f"of {self.peer}{at}: {self.reason}"


@dataclass(frozen=True)
class Outcome(Generic[Peer]):
    """How a round ended, or how far it has come.

    output: the sum and whose it is; None where there is none. failure: why not. participants: peer → id, as far as it
    is known. dropped: participant → the step that it did not complete, and why. answered: step that is closed → the
    participants that completed it.
    """

    proposal: Proposal
    output: Output | None
    failure: RoundFailed | None
    participants: Mapping[Peer, int]
    dropped: Mapping[int, Dropout]
    refused: tuple[Refused[Peer], ...]
    corrections: tuple[Correction, ...]
    answered: Mapping[Step, tuple[int, ...]]

    @property
    def survivors(self) -> tuple[int, ...]:
        """Whose vectors are in the sum, ascending."""
        return () if self.output is None else self.output.survivors

    def __str__(self) -> str:
        ended = f"failed: {self.failure}" if self.failure is not None else f"the sum of {len(self.survivors)}"
        if self.failure is None and self.output is None:
            ended = "not over"
        counts = ", ".join(f"{step} {len(who)}" for step, who in self.answered.items())
        return f"round {self.proposal.round} of {self.proposal.job}: {ended} ({counts})"


def who_completed(server: Server) -> dict[Step, tuple[int, ...]]:
    """Return who completed each step that is closed: everyone who had not dropped out by then."""
    steps = server.scheme.steps
    place = {step: number for number, step in enumerate(steps)}
    closed = 0
    if server.output is not None:
        closed = len(steps)
    elif server.failure is not None:
        closed = place[Step(server.failure.step)] + 1
    elif isinstance(server.state, Step):
        closed = place[server.state]
    gone_at = {own: place[item.step] for own, item in server.dropped.items()}
    everyone = range(1, server.scheme.participants + 1)
    return {step: tuple(own for own in everyone if gone_at.get(own, closed) > place[step]) for step in steps[:closed]}
