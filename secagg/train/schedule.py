"""What goes wrong in each round: who vanishes at which step, and who is too slow. Simulated; nothing sleeps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from secagg_protocols.errors import ParameterError

TYPICAL_S = 25.0
"""Seconds that an ordinary site takes to train and send, in the simulation."""
SPREAD = 0.25
"""Standard deviation of the logarithm of a duration, from site to site and from round to round."""
SLOW_FACTOR = 2.0


@dataclass(frozen=True)
class RoundPlan:
    """One round's faults. Sites are participant ids.

    vanish      site to the name of the step that it does not live to send
    durations   site to simulated seconds until its masked input would arrive
    deadline_s  seconds after which the server goes on without
    """

    vanish: Mapping[int, str]
    durations: Mapping[int, float]
    deadline_s: float

    @property
    def late(self) -> frozenset[int]:
        """Sites that are still there but miss the deadline."""
        return frozenset(s for s, t in self.durations.items() if t > self.deadline_s and s not in self.vanish)

    def drops(self, contribute: str) -> dict[int, str]:
        """Return site to step for everyone who does not send it; `contribute` is the step that carries the vector."""
        return dict(self.vanish) | dict.fromkeys(self.late, contribute)

    def trains(self, steps: Sequence[str], contribute: str) -> frozenset[int]:
        """Return the sites that get as far as training: those not gone before the step that carries the vector."""
        position = steps.index(contribute)
        return frozenset(s for s in self.durations if s not in self.vanish or steps.index(self.vanish[s]) >= position)

    def simulated_s(self) -> float:
        """Return how long the round would have taken: until the last vector, or the deadline if any is missing."""
        present = [t for site, t in self.durations.items() if site not in self.vanish]
        if len(present) < len(self.durations) or not present:
            return self.deadline_s
        return min(max(present), self.deadline_s)


def plan_rounds(
    rng: np.random.Generator,
    sites: Sequence[int],
    rounds: int,
    steps: Sequence[str],
    *,
    dropouts: int,
    slow_sites: int,
    deadline_s: float,
) -> tuple[RoundPlan, ...]:
    """Draw every round's faults. Drop-outs take the scheme's steps in turn, so that each step is hit."""
    for name, value in (("dropouts", dropouts), ("slow_sites", slow_sites)):
        if value >= len(sites):
            raise ParameterError(f"{name} = {value} of {len(sites)} institutions leaves none; use fewer")
    slow = rng.choice(sites, size=slow_sites, replace=False)
    pace = {site: TYPICAL_S * float(np.exp(SPREAD * rng.normal())) for site in sites}
    for site in slow:
        pace[int(site)] *= SLOW_FACTOR
    plans = []
    for number in range(rounds):
        gone = rng.choice(sites, size=dropouts, replace=False)
        vanish = {int(site): steps[(number * dropouts + k) % len(steps)] for k, site in enumerate(gone)}
        durations = {site: pace[site] * float(np.exp(SPREAD * rng.normal())) for site in sites}
        plans.append(RoundPlan(vanish, durations, deadline_s))
    return tuple(plans)
