"""No second answer: what a participant remembers across rounds, so that no two answers can be put together.

A server that "fails" a round after the masked inputs and repeats it with one participant fewer learns the difference.
So a participant answers at most once for one context digest, unless its own policy allows reruns, and its rounds of one
job only go up. A participant restored from one snapshot twice is two machines with the same secrets: so these are dealt
in one session, and opened for one set of survivors, however many machines there are. All this holds per identity,
across every session that runs at the same time. Two *different* models that lie close together are beyond any ledger:
only differential privacy bounds what consecutive sums tell.
"""

from __future__ import annotations

from typing import Protocol

import msgspec

from ..errors import ParameterError, RepeatedContext
from .context import RoundContext

LARGEST_JUMP = 1 << 32
"""How far beyond the last round of its job a round may be: no single number uses up all that could follow it."""


class ContributionLedger(Protocol):
    """Where a participant's answers are remembered."""

    def claim(self, context: RoundContext, reruns: int, session: bytes) -> None:
        """Record, durably and before anything leaves, that this participant answers in this round.

        reruns: how often its policy lets it answer again. session: names the one-time secrets that hide the vector;
        empty where there are none. No two vectors go under one, whatever the policy: a rerun is a new session.

        Raises `RepeatedContext` when it has answered for the same digest, or for this or a later round of the job, and
        `reruns` are used up; `ParameterError` for a round number so large that none would be left.
        """
        ...

    def settle(self, subject: bytes, choice: bytes) -> None:
        """Record, durably and before anything leaves, that for this subject it is this choice and no other.

        subject: 32 bytes that name keys that were advertised (the choice is their session) or a session (its
        survivors). The same choice again is no news: the answer is then the same, byte for byte.

        Raises `RepeatedContext` when another choice was settled.
        """
        ...


class LastRound(msgspec.Struct, array_like=True):
    """The last round of a job. behind: answers given since then that were not for a later one."""

    number: int = -1
    behind: int = 0


class Answered(msgspec.Struct, forbid_unknown_fields=True):
    """The record itself. digests: answers by context. rounds: by job. sessions: answered in. settled: choices."""

    digests: dict[bytes, int] = {}
    rounds: dict[str, LastRound] = {}
    sessions: set[bytes] = set()
    settled: dict[bytes, bytes] = {}

    def claim(self, context: RoundContext, reruns: int, session: bytes) -> None:
        """Check and record one answer. Raises `RepeatedContext`, `ParameterError`; nothing is then recorded."""
        if session and session in self.sessions:
            raise RepeatedContext(
                "already answered in this very session: two vectors under the same masks would give away their "
                "difference; a rerun is a new session"
            )
        last = self.rounds.get(context.job, LastRound())
        if context.round - last.number > LARGEST_JUMP:
            raise ParameterError(
                f"round {context.round} of job {context.job!r} is more than {LARGEST_JUMP} beyond the last one, and "
                f"would use up the numbers of those to come: take {last.number + 1}"
            )
        answers = self.digests.get(context.context_digest, 0)
        if answers > reruns:
            raise RepeatedContext(
                f"already answered for this model and configuration (job {context.job!r}, round {last.number}), "
                f"{answers} times with reruns={reruns}; a second sum over fewer participants would reveal the "
                "difference: change the model, or allow reruns and charge them"
            )
        ahead = context.round > last.number
        if not ahead and last.behind >= reruns:
            raise RepeatedContext(
                f"round {context.round} of job {context.job!r} is not after round {last.number}, answered before: go "
                f"on with round {last.number + 1}, or with another job"
            )
        self.digests[context.context_digest] = answers + 1
        if session:
            self.sessions.add(session)
        self.rounds[context.job] = LastRound(context.round) if ahead else LastRound(last.number, last.behind + 1)

    def settle(self, subject: bytes, choice: bytes) -> None:
        """Check and record one choice. Raises `RepeatedContext`; nothing is then recorded."""
        if self.settled.setdefault(subject, choice) != choice:
            raise RepeatedContext(
                "already answered otherwise with these one-time secrets: dealt to other participants or opened for "
                "other survivors they would give a vector away; a new round has new ones"
            )


class MemoryLedger:
    """A ledger that lives as long as it is kept: for simulations. Deployments use `SnapshotStore`."""

    def __init__(self) -> None:
        self._answered = Answered()

    def claim(self, context: RoundContext, reruns: int, session: bytes) -> None:
        self._answered.claim(context, reruns, session)

    def settle(self, subject: bytes, choice: bytes) -> None:
        self._answered.settle(subject, choice)
