"""A privacy budget that a participant keeps itself: what every answer cost, on disk before the answer leaves.

    charging = BudgetLedger(path, identity, Budget(epsilon=8.0, delta=1e-5)).charging(cost, answers, now)
    charging.claim(context, reruns, session)      # raises BudgetSpent before the round that would exceed

One file (`charges`) for one identity and one unit of protection; it counts all jobs, unless it is made for one: whoever
names the jobs must not begin the budget anew with each. What is charged is the worst case that is tolerated, as nobody
knows yet who drops out. k answers for one context are k releases of one lot: one event of the multiplier z/√k, and not
k events.

A disk set back by its owner is out of scope, as it is for what was answered (`core.snapshots`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from secagg.chained import held
from secagg_he import BudgetSpent
from secagg_protocols import ContributionLedger, Identity, InputError, ParameterError, RoundContext

from .charges import Charge, ChargeLog, Stage, spent, spent_by_view
from .plan import INSTITUTION_DELTA
from .proposed import Cost
from .views import epsilon_text

UNITS = ("row", "patient", "institution")
"""What is protected: one row, all of one patient's within an institution, or the whole of an institution's update."""


@dataclass(frozen=True)
class Budget:
    """What may be spent in all, in the view of the server with its colluders."""

    epsilon: float
    delta: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.epsilon) and self.epsilon > 0):
            raise ParameterError(f"epsilon={self.epsilon} of a budget is not a positive number")
        if not 0 < self.delta <= INSTITUTION_DELTA:
            raise ParameterError(f"delta={self.delta} of a budget is not above 0 and at most {INSTITUTION_DELTA:g}")


@dataclass(frozen=True)
class BudgetLedger:
    """One participant's file of what was spent, and how much may be. job: None: of all jobs together.

    Raises `InputError` (`AuditError` where it was edited, or written by another identity) whenever it is read.
    """

    path: Path
    identity: Identity
    budget: Budget
    unit: str = "institution"
    job: str | None = None

    def __post_init__(self) -> None:
        if self.unit not in UNITS:
            raise ParameterError(f"unit={self.unit!r} is unknown; choose from {', '.join(UNITS)}")

    def charging(self, cost: Cost, answers: ContributionLedger, now: datetime) -> Charging:
        """Return the ledger for one round: it charges, and leaves the rest to `answers`. now: with its time zone."""
        if now.tzinfo is None:
            raise InputError(f"the time {now} has no time zone; give an aware datetime")
        return Charging(self, cost, answers, now.astimezone(UTC).isoformat(timespec="seconds"))

    @contextmanager
    def opened(self) -> Iterator[ChargeLog]:
        """Yield the file, checked, while nobody else writes to it."""
        with held(self.path, ChargeLog.form):
            log = ChargeLog(self.path, self.identity)
            for charge in log.charges:
                self._check_own(charge)
            yield log

    def _check_own(self, charge: Charge) -> None:
        if charge.stage != Stage.ANSWERED:
            raise InputError(f"{self.path}: this is an aggregator's ledger: give each party a file of its own")
        if charge.unit != self.unit:
            raise InputError(
                f"{self.path}: this ledger counts what protects one {charge.unit}, and now one {self.unit} is to be "
                "protected: give each unit a file of its own"
            )
        if self.job is not None and charge.job != self.job:
            raise InputError(
                f"{self.path}: this is the ledger of job {charge.job!r}, not of {self.job!r}: give each job a file of "
                "its own, or one to all"
            )

    def epsilon(self) -> float | None:
        """Return ε of all that was answered; None: unbounded."""
        with self.opened() as log:
            return spent(log.charges, self.budget.delta)

    def after(self, log: ChargeLog, context: RoundContext, session: bytes, cost: Cost, time: str) -> Charge:
        """Return what one more answer is charged. Raises `BudgetSpent` where that is more than there is."""
        digest = context.context_digest.hex()
        before = sum((charge.job, charge.context_digest) == (context.job, digest) for charge in log.charges)
        charge = Charge(
            time=time,
            unit=self.unit,
            job=context.job,
            round=context.round,
            context_digest=digest,
            session=session.hex(),
            releases=before + 1,
            epsilon=None,
            delta=self.budget.delta,
            **asdict(cost),
        )
        epsilon = spent([*log.charges, charge], self.budget.delta)
        if epsilon is None or epsilon > self.budget.epsilon:
            now = spent(log.charges, self.budget.delta)
            raise BudgetSpent(
                f"round {context.round} of job {context.job!r} would bring ε to {epsilon_text(epsilon)} at "
                f"δ={self.budget.delta:g}, above this site's budget of {self.budget.epsilon:g} "
                f"({epsilon_text(now)} is spent in {len(log.charges)} answers): more noise a round, or a larger "
                "budget, is the site's to decide"
            )
        return replace(charge, epsilon=epsilon)


@dataclass(frozen=True)
class Charging:
    """A `ContributionLedger` that keeps a budget."""

    book: BudgetLedger
    cost: Cost
    answers: ContributionLedger
    time: str

    def check(self, context: RoundContext) -> None:
        """Raise `BudgetSpent` where an answer would exceed the budget: for whoever wants to know before it trains."""
        with self.book.opened() as log:
            self.book.after(log, context, b"", self.cost, self.time)

    def claim(self, context: RoundContext, reruns: int, session: bytes) -> None:
        """Charge one answer, durably and before anything leaves. Raises `BudgetSpent`, and what `answers` raises.

        What was answered is looked up first: otherwise a server that asks again and again would use up the budget with
        questions that are refused. A crash between the two leaves an answer that is claimed and never given.
        """
        with self.book.opened() as log:
            charge = self.book.after(log, context, session, self.cost, self.time)
            self.answers.claim(context, reruns, session)
            log.append(charge)

    def spent(self) -> Mapping[str, float]:
        """Return view → ε at the budget's δ of all that was answered; a view without a bound is left out."""
        with self.book.opened() as log:
            return spent_by_view(log.charges, self.book.budget.delta)

    def settle(self, subject: bytes, choice: bytes) -> None:
        """As `answers` does."""
        self.answers.settle(subject, choice)
