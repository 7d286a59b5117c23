"""What the rounds of a training have given away so far, by view, as whoever runs them counts it.

A round that gave a sum is charged what was really there. One that failed after vectors were sent is charged the worst
case that was tolerated, as its participants charge it to themselves.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from secagg_he import BudgetSpent

from .ledger import Budget
from .mechanism import Mechanism
from .views import COLLUDING, Release, epsilon_in, epsilons

_SLACK = 1 + 1e-6
"""A plan is as exact as that: the last of its rounds must not be one too many."""


@dataclass
class Spending:
    """The aggregator's account. budget: for all rounds, in the view of the server with its colluders."""

    budget: Budget
    _releases: list[Release] = field(default_factory=list)

    @property
    def epsilon(self) -> dict[str, float]:
        """View → ε at the budget's δ, of all rounds so far; a view without a bound is left out."""
        views = epsilons(self._releases, self.budget.delta)
        return {view: epsilon for view, epsilon in views.items() if epsilon is not None}

    def check(self, mechanism: Mechanism) -> None:
        """Raise `BudgetSpent` where one more such round could exceed the budget."""
        releases = [*self._releases, _worst(mechanism)]
        after = epsilon_in(COLLUDING, releases, self.budget.delta)
        if after is None or after > self.budget.epsilon * _SLACK:
            raise BudgetSpent(
                f"the privacy budget is spent: {self}; one more round would go beyond ε={self.budget.epsilon:g} "
                "(dp_epsilon): plan for more rounds (dp_rounds), which makes each of them noisier"
            )

    def add(self, mechanism: Mechanism, survivors: int | None) -> None:
        """Charge one round. survivors: how many vectors were in its sum; None: there was no sum."""
        dropouts = mechanism.participants - survivors if survivors is not None else 0
        self._releases.append(_worst(mechanism) if survivors is None else Release(mechanism, dropouts))

    def __str__(self) -> str:
        views = ", ".join(f"{view} {epsilon:.4g}" for view, epsilon in self.epsilon.items())
        count = len(self._releases)
        return f"ε at δ={self.budget.delta:g} after {count} round{'s' * (count != 1)}: {views}"


def _worst(mechanism: Mechanism) -> Release:
    """Return the release after that number of tolerated dropouts which leaves the least noise."""
    releases = [Release(mechanism, dropouts) for dropouts in range(mechanism.tolerated + 1)]
    return min(releases, key=lambda release: release.multipliers()[COLLUDING])
