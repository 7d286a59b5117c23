"""What the rounds of a training have given away so far, by view, as whoever runs them counts it.

A round is charged when it asks for vectors, with the worst case that is tolerated, and settled when it is over: one
that gave a sum with what was really there, one to which nobody sent a vector with nothing. One that failed after
vectors were sent stays as it was charged, as its participants have it.

On disk (`charges`) the charge stands before anybody is asked: a server that is killed and made again must not think
that what it has asked for was never sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime

from secagg_he import BudgetSpent
from secagg_protocols import InputError, RoundContext
from secagg_protocols.core.parameters import Parameters

from .charges import Charge, ChargeLog, Stage, spent, spent_by_view, standing
from .ledger import Budget
from .mechanism import Mechanism
from .proposed import Cost
from .views import COLLUDING, Release, epsilon_text

_SLACK = 1 + 1e-6
"""A plan is as exact as that: the last of its rounds must not be one too many."""

UNIT = "institution"


@dataclass
class Spending:
    """The aggregator's account. budget: for all rounds, in the view of the server with its colluders. ledger: the file
    in which it is kept, with what earlier runs have spent; None: it ends with the process."""

    budget: Budget
    ledger: ChargeLog | None = None
    charges: list[Charge] = field(default_factory=list)
    _asked: tuple[Charge, Mechanism] | None = None

    def __post_init__(self) -> None:
        if self.ledger is not None:
            self.charges = list(self.ledger.charges)
        for charge in self.charges:
            if charge.stage == Stage.ANSWERED or charge.unit != UNIT:
                raise InputError("dp_ledger: this is a participant's own ledger: give each party a file of its own")

    @property
    def epsilon(self) -> Mapping[str, float]:
        """View → ε at the budget's δ, of all rounds so far; a view without a bound is left out."""
        return spent_by_view(self.charges, self.budget.delta)

    def check(self, scheme: Parameters, context: RoundContext, mechanism: Mechanism, now: datetime) -> None:
        """Raise `BudgetSpent` where one more such round could exceed the budget."""
        after = self._worst(scheme, context, mechanism, now).epsilon
        if after is None or after > self.budget.epsilon * _SLACK:
            raise BudgetSpent(
                f"the privacy budget is spent: {self}; one more round would go beyond ε={self.budget.epsilon:g} "
                "(dp_epsilon): plan for more rounds (dp_rounds), which makes each of them noisier"
            )

    def ask(self, scheme: Parameters, context: RoundContext, mechanism: Mechanism, now: datetime) -> None:
        """Charge a round, before anybody is asked for a vector."""
        charge = self._worst(scheme, context, mechanism, now)
        self._append(charge)
        self._asked = charge, mechanism

    def succeed(self, survivors: int) -> None:
        """Settle the round that was asked for, before its sum is used. survivors: how many vectors are in it."""
        assert self._asked is not None, "a round is charged before it is settled"
        charge, mechanism = self._asked
        self._asked = None
        dropouts = mechanism.participants - survivors
        others = dict(Release(mechanism, dropouts).multipliers())
        there = others.pop(COLLUDING)
        said = replace(charge, stage=Stage.SUMMED, multiplier=there, others=others, dropouts=dropouts)
        self._append(self._counted(said))

    def fail(self, answered: bool) -> None:
        """Settle a round that gave no sum; none may have been asked for. answered: whether any vector came: then it
        stays as it was charged."""
        asked = self._asked
        self._asked = None
        if asked is not None and not answered:
            self._append(self._counted(replace(asked[0], stage=Stage.EMPTY)))

    def _worst(self, scheme: Parameters, context: RoundContext, mechanism: Mechanism, now: datetime) -> Charge:
        digest = context.context_digest.hex()
        before = sum((charge.job, charge.context_digest) == (context.job, digest) for charge in standing(self.charges))
        return self._counted(
            Charge(
                stage=Stage.ASKED,
                time=now.astimezone(UTC).isoformat(timespec="seconds"),
                unit=UNIT,
                job=context.job,
                round=context.round,
                context_digest=digest,
                releases=before + 1,
                epsilon=None,
                delta=self.budget.delta,
                **asdict(Cost.of(scheme, mechanism)),
            )
        )

    def _counted(self, charge: Charge) -> Charge:
        """Return it with what is spent once it stands."""
        return replace(charge, epsilon=spent([*self.charges, charge], self.budget.delta))

    def _append(self, charge: Charge) -> None:
        if self.ledger is not None:
            self.ledger.append(charge)
        self.charges.append(charge)

    def __str__(self) -> str:
        views = ", ".join(f"{view} {epsilon_text(epsilon)}" for view, epsilon in self.epsilon.items())
        count = len(standing(self.charges))
        return f"ε at δ={self.budget.delta:g} after {count} round{'s' * (count != 1)}: {views}"
