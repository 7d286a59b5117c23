"""No second answer: what a participant remembers across rounds, so that no two sums can be subtracted.

A server that "fails" a round after the masked inputs and repeats it with one participant fewer learns the difference.
So a participant answers at most once for one context digest, and its rounds of one job only go up. This holds per
identity, across every session that runs at the same time. Two *different* models that lie close together are beyond any
ledger: only differential privacy bounds what consecutive sums tell.
"""

from __future__ import annotations

from typing import Protocol

from .errors import RepeatedContext
from .scheme import RoundContext


class ContributionLedger(Protocol):
    """Where a participant's answers are remembered."""

    def claim(self, context: RoundContext) -> None:
        """Record, durably and before anything leaves, that this participant answers in this round.

        Raises `RepeatedContext` when it has answered for the same digest, or for this or a later round of the job.
        """
        ...


class MemoryLedger:
    """A ledger that lives as long as the process: for simulations. Deployments use `SnapshotStore`."""

    def __init__(self) -> None:
        self._digests: set[bytes] = set()
        self._rounds: dict[str, int] = {}

    def claim(self, context: RoundContext) -> None:
        check_fresh(context, self._digests, self._rounds)
        self._digests.add(context.context_digest)
        self._rounds[context.job] = context.round


def check_fresh(context: RoundContext, digests: set[bytes], rounds: dict[str, int]) -> None:
    """Raise `RepeatedContext` unless the context is new. `rounds`: job → last round answered."""
    if context.context_digest in digests:
        raise RepeatedContext(
            f"already answered for this model and configuration (job {context.job!r}); a second sum over fewer "
            "participants would reveal the difference: change the model, or allow the rerun locally and count it as a release"
        )
    if context.round <= rounds.get(context.job, -1):
        raise RepeatedContext(
            f"round {context.round} of job {context.job!r} is not after round {rounds[context.job]}, already answered"
        )
