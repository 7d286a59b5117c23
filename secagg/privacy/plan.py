"""From the ε that is wanted to the noise that gives it: `secagg privacy plan`."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from secagg.extras import needed
from secagg_protocols.errors import ParameterError
from secagg_protocols.packing.sums import Domain

from .mechanism import Mechanism
from .views import COLLUDING, Release, epsilon, epsilon_in, epsilons

LARGEST_MULTIPLIER = 1e4
FEWEST_BITS = 4
MOST_BITS = 32
"""Tried when the bits are left to the plan."""

CLOSE_ENOUGH = 1.001
"""The fewest bits are taken with which the noise is at most so many times that of many bits."""

SAMPLED = 1e-4
"""With sampling, where each figure takes an accountant's time, the noise is found for an ε less by so much of it: more
than the mechanism charges beside the noise, or it is refused."""

LARGEST_EPSILON = 100.0
INSTITUTION_DELTA = 1e-3


@dataclass(frozen=True)
class Wanted:
    """What is asked of a plan. epsilon, delta: of all rounds together, in the view of the server with its colluders.

    participants, length, clip, tolerated, colluders, layered, reach, value_bits: as in `Mechanism`; value_bits None:
    the fewest with which the noise is not noticeably more. sampling_rate: as in `views.epsilons`. opened_with,
    statistical_bits: as in `Mechanism`.
    """

    epsilon: float
    delta: float
    rounds: int
    participants: int
    length: int
    clip: float = 1.0
    tolerated: int = 0
    colluders: int = 0
    value_bits: int | None = None
    layered: bool = True
    reach: float | None = None
    sampling_rate: float = 1.0
    opened_with: int | None = None
    statistical_bits: int | None = None

    def __post_init__(self) -> None:
        if not 0 < self.epsilon <= LARGEST_EPSILON:
            raise ParameterError(f"epsilon={self.epsilon} is not above 0 and at most {LARGEST_EPSILON:g}")
        if not 0 < self.delta <= INSTITUTION_DELTA:
            raise ParameterError(f"delta={self.delta} is not above 0 and at most {INSTITUTION_DELTA:g}")
        if self.rounds < 1:
            raise ParameterError(f"rounds={self.rounds} is not at least 1")

    def mechanism(self, multiplier: float, value_bits: int) -> Mechanism:
        """Return the mechanism with this noise."""
        return Mechanism(
            self.participants,
            self.length,
            self.clip,
            multiplier,
            value_bits,
            self.tolerated,
            self.colluders,
            self.layered,
            self.reach,
            self.opened_with,
            self.statistical_bits,
        )

    def spent(self, mechanism: Mechanism, dropouts: int) -> dict[str, float | None]:
        """Return view → ε of all rounds with this mechanism, if each has so many dropouts."""
        return epsilons({Release(mechanism, dropouts): self.rounds}, self.delta, self.sampling_rate)


@dataclass(frozen=True)
class Plan:
    """A mechanism that gives what was wanted, and what it costs."""

    wanted: Wanted
    mechanism: Mechanism

    @cached_property
    def epsilons(self) -> dict[int, dict[str, float | None]]:
        """Dropouts in every round → view → ε of all rounds."""
        return {dropouts: self.wanted.spent(self.mechanism, dropouts) for dropouts in range(self.wanted.tolerated + 1)}

    @property
    def bytes_per_value(self) -> float:
        """Upload of one participant, in bytes a value, without the fixed part."""
        domain = Domain(self.wanted.participants, self.wanted.length, self.mechanism.value_bits)
        return domain.lanes.size / self.wanted.length


def plan(wanted: Wanted) -> Plan:
    """Return the least noise that gives what is wanted, in the fewest bits that hold it without much more of it.

    Raises `ParameterError` where none does.
    """
    ideal = _ideal(wanted)
    wanted.mechanism(ideal, MOST_BITS)  # refuses what is wrong with any number of bits
    if ideal > LARGEST_MULTIPLIER:
        raise _too_much(wanted)
    if wanted.value_bits is not None:
        wanted.mechanism(ideal, wanted.value_bits).noise  # noqa: B018  (asked for what it raises)
        return Plan(wanted, _with_bits(wanted, ideal, wanted.value_bits))
    found: list[Mechanism] = []
    for bits in range(FEWEST_BITS, MOST_BITS + 1):
        try:
            found.append(_with_bits(wanted, ideal, bits))
        except ParameterError:
            continue  # too few for the noise, or so many that it is wider than any table
        if found[-1].multiplier <= CLOSE_ENOUGH * ideal:
            break
    if not found:
        raise ParameterError("no number of bits holds this noise: lower tolerated, or participants")
    least = min(found, key=lambda mechanism: mechanism.multiplier)
    if not all(_within(wanted, least, dropouts) for dropouts in (0, wanted.tolerated)):
        raise ParameterError(
            f"delta={wanted.delta:g} is too near to what noise of whole numbers charges beside itself: raise delta"
        )
    return Plan(wanted, least)


def _ideal(wanted: Wanted) -> float:
    """Return the noise multiplier of the continuous Gaussian that gives what is wanted."""
    with needed("train"):
        from dp_accounting import get_sigma_gaussian
    whole = math.sqrt(wanted.rounds) * float(get_sigma_gaussian(wanted.epsilon, wanted.delta))
    if wanted.sampling_rate == 1:
        return whole

    def enough(multiplier: float) -> bool:
        found = epsilon([multiplier] * wanted.rounds, wanted.delta, wanted.sampling_rate)
        return found is not None and found <= wanted.epsilon * (1 - SAMPLED)

    return _least(enough, wanted.sampling_rate * whole / 2, wanted)


def _with_bits(wanted: Wanted, ideal: float, value_bits: int) -> Mechanism:
    worst = sorted({0, wanted.tolerated})

    def enough(multiplier: float) -> bool:
        mechanism = wanted.mechanism(multiplier, value_bits)
        if wanted.sampling_rate < 1:
            return min(Release(mechanism, dropouts).multipliers()[COLLUDING] for dropouts in worst) >= ideal
        return all(_within(wanted, mechanism, dropouts) for dropouts in worst)

    return wanted.mechanism(_least(enough, ideal, wanted), value_bits)


def _within(wanted: Wanted, mechanism: Mechanism, dropouts: int) -> bool:
    releases = {Release(mechanism, dropouts): wanted.rounds}
    spent = epsilon_in(COLLUDING, releases, wanted.delta, wanted.sampling_rate)
    return spent is not None and spent <= wanted.epsilon


def _least(enough: Callable[[float], bool], start: float, wanted: Wanted) -> float:
    """Return the least multiplier from `start` on, to 0.01 %, that is enough."""
    low = high = start
    while not enough(high):
        low = high
        high *= 1.5
        if high > LARGEST_MULTIPLIER:
            raise _too_much(wanted)
    while high - low > 1e-4 * high:
        middle = (low + high) / 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def _too_much(wanted: Wanted) -> ParameterError:
    return ParameterError(
        f"epsilon={wanted.epsilon:g} at delta={wanted.delta:g} over {wanted.rounds} rounds needs noise beyond "
        f"{LARGEST_MULTIPLIER:g} times the clip: raise epsilon or value_bits, or plan fewer rounds"
    )
