"""No second answer: what a participant remembers across rounds, so that no two sums can be subtracted.

A server that "fails" a round after the masked inputs and repeats it with one participant fewer learns the difference.
So a participant answers at most once for one context digest, and its rounds of one job only go up. This holds per
identity, across every session that runs at the same time. Two *different* models that lie close together are beyond any
ledger: only differential privacy bounds what consecutive sums tell.
"""

from __future__ import annotations

from typing import Protocol

import msgspec

from .errors import RepeatedContext
from .scheme import RoundContext


class ContributionLedger(Protocol):
    """Where a participant's answers are remembered."""

    def claim(self, context: RoundContext, rerun: bool, session: bytes) -> None:
        """Record, durably and before anything leaves, that this participant answers in this round.

        session: names the one-time secrets that hide the vector; empty where there are none. No two vectors go under
        one, whatever the policy: a rerun is a new session.

        Raises `RepeatedContext` when it has answered for the same digest, or for this or a later round of the job, and
        its own policy does not allow the `rerun`.
        """
        ...


class Answered(msgspec.Struct):
    """The record itself. digests: contexts answered. rounds: job → last round answered. sessions: answered in."""

    digests: set[bytes] = set()
    rounds: dict[str, int] = {}
    sessions: set[bytes] = set()

    def claim(self, context: RoundContext, rerun: bool, session: bytes) -> None:
        """Check and record one answer. Raises `RepeatedContext`; nothing is then recorded."""
        if session and session in self.sessions:
            raise RepeatedContext(
                "already answered in this very session: two vectors under the same masks would give away their "
                "difference; a rerun is a new session"
            )
        last = self.rounds.get(context.job, -1)
        if not rerun and context.context_digest in self.digests:
            raise RepeatedContext(
                f"already answered for this model and configuration (job {context.job!r}, round {last}); a second sum "
                "over fewer participants would reveal the difference: change the model, or allow_rerun and charge it"
            )
        if not rerun and context.round <= last:
            raise RepeatedContext(
                f"round {context.round} of job {context.job!r} is not after round {last}, answered before"
            )
        self.digests.add(context.context_digest)
        if session:
            self.sessions.add(session)
        self.rounds[context.job] = max(last, context.round)


class MemoryLedger:
    """A ledger that lives as long as the process: for simulations. Deployments use `durable.SnapshotStore`."""

    def __init__(self) -> None:
        self._answered = Answered()

    def claim(self, context: RoundContext, rerun: bool, session: bytes) -> None:
        self._answered.claim(context, rerun, session)
