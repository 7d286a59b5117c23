"""What goes wrong in each round: who drops out at which step, and who is too slow. Simulated; nothing sleeps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np

from secagg_protocols.errors import ParameterError

from .setting import AtLeast, Called, Option, Positive, check

TYPICAL_S = 25.0
"""Seconds that an ordinary site takes to train and send, in the simulation."""
SPREAD = 0.25
"""Standard deviation of the logarithm of a duration, from site to site and from round to round."""
SLOW_FACTOR = 2.0


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """The network and the sites, as the simulation draws them."""

    dropouts: Annotated[
        int | None,
        AtLeast(0),
        Option(
            "Institutions that drop out of every round; by default 2, or as many as a sum can miss.",
            flag="--drop-per-round",
        ),
        Called(("dropout_rate",), converted=True),
    ] = None
    slow_sites: Annotated[int, AtLeast(0), Option("Institutions that take about twice as long as the others.")] = 1
    deadline_s: Annotated[
        float,
        Positive(),
        Option(
            "Simulated seconds that a round waits for updates, or longer until a sum can be made.", flag="--deadline"
        ),
    ] = 60.0

    def __post_init__(self) -> None:
        check(self)

    def staged(self, sites: int) -> str | None:
        """Say what is made to go wrong on purpose; None when nothing is."""
        faults = []
        if self.dropouts:
            faults.append(f"every round loses {self.dropouts} of {sites} sites (--drop-per-round)")
        if self.slow_sites:
            faults.append(
                f"sites that take about {SLOW_FACTOR:g} times as long as others: {self.slow_sites} (--slow-sites); "
                f"whoever takes more than {self.deadline_s:g} s (--deadline) is late, but for those whom a sum needs"
            )
        return f"Staged by this simulation: {'; '.join(faults)}." if faults else None


@dataclass(frozen=True)
class RoundPlan:
    """One round's faults. Sites are participant ids.

    dropouts    site to the name of the step that it does not send
    durations   site to simulated seconds until its masked input would arrive
    deadline_s  seconds after which the server goes on without: as asked for, or later, when enough for a sum are there
    """

    dropouts: Mapping[int, str]
    durations: Mapping[int, float]
    deadline_s: float

    @property
    def late(self) -> frozenset[int]:
        """Sites that have not dropped out but miss the deadline."""
        slow = {site for site, seconds in self.durations.items() if seconds > self.deadline_s}
        return frozenset(slow - self.dropouts.keys())

    def drops(self, contribute: str) -> dict[int, str]:
        """Return site to step for everyone who does not send it.

        contribute: the step that carries the vector.
        """
        return dict(self.dropouts) | dict.fromkeys(self.late, contribute)

    def trains(self, steps: Sequence[str], contribute: str) -> frozenset[int]:
        """Return the sites that get as far as training: those that drop out no earlier than with their vector."""
        before = steps[: steps.index(contribute)]
        return frozenset(site for site in self.durations if self.dropouts.get(site) not in before)

    def simulated_s(self) -> float:
        """Return how long the round would have taken: until the last vector, or the deadline if any is missing."""
        present = [seconds for site, seconds in self.durations.items() if site not in self.dropouts]
        if len(present) < len(self.durations) or not present:
            return self.deadline_s
        return min(max(present), self.deadline_s)


def plan_rounds(
    rng: np.random.Generator,
    sites: Sequence[int],
    rounds: int,
    steps: Sequence[str],
    deployment: Deployment,
    fewest: int,
) -> tuple[RoundPlan, ...]:
    """Draw every round's faults. Dropouts take the scheme's steps in turn, so that each step is hit.

    fewest: sites that a sum takes. A server whose deadline has passed waits until so many are there that will stay.
    """
    count = deployment.dropouts
    assert count is not None  # `make_cohort` fills it in, and leaves at least `fewest` sites
    if deployment.slow_sites > len(sites):
        raise ParameterError(
            f"slow_sites = {deployment.slow_sites} of {len(sites)} institutions: use --slow-sites {len(sites)} or less"
        )
    slow = rng.choice(sites, size=deployment.slow_sites, replace=False)
    pace = {site: TYPICAL_S * float(np.exp(SPREAD * rng.normal())) for site in sites}
    for site in slow:
        pace[int(site)] *= SLOW_FACTOR
    plans = []
    for number in range(rounds):
        chosen = rng.choice(sites, size=count, replace=False)
        dropouts = {int(site): steps[(number * count + place) % len(steps)] for place, site in enumerate(chosen)}
        durations = {site: pace[site] * float(np.exp(SPREAD * rng.normal())) for site in sites}
        arrivals = sorted(durations[site] for site in durations.keys() - dropouts.keys())
        plans.append(RoundPlan(dropouts, durations, max(deployment.deadline_s, arrivals[fewest - 1])))
    return tuple(plans)
