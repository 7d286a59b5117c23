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
from .views import COLLUDING, Release, epsilon_in, epsilons

LARGEST_MULTIPLIER = 1e4
FEWEST_BITS = 4
MOST_BITS = 32
"""Tried when the bits are left to the plan."""

CLOSE_ENOUGH = 1.001
"""The fewest bits are taken with which the noise is at most so many times that of many bits."""

LARGEST_EPSILON = 100.0
INSTITUTION_DELTA = 1e-3


@dataclass(frozen=True)
class Wanted:
    """What is asked of a plan. epsilon, delta: of all rounds together, in the view of the server with its colluders.

    participants, length, clip, tolerated, colluders, layered, value_bits: as in `Mechanism`; value_bits None: the
    fewest with which the noise is not noticeably more.
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
        )


@dataclass(frozen=True)
class Plan:
    """A mechanism that gives what was wanted, and what it costs."""

    wanted: Wanted
    mechanism: Mechanism

    @cached_property
    def epsilons(self) -> dict[int, dict[str, float | None]]:
        """Dropouts in every round → view → ε of all rounds."""
        return {
            dropouts: epsilons([Release(self.mechanism, dropouts)] * self.wanted.rounds, self.wanted.delta)
            for dropouts in range(self.wanted.tolerated + 1)
        }

    @property
    def bytes_per_value(self) -> float:
        """Upload of one participant, in bytes a value, without the fixed part."""
        domain = Domain(self.wanted.participants, self.wanted.length, self.mechanism.value_bits)
        return domain.lanes.size / self.wanted.length


def plan(wanted: Wanted) -> Plan:
    """Return the least noise that gives what is wanted, in the fewest bits that hold it without much more of it.

    Raises `ParameterError` where none does.
    """
    with needed("train"):
        from dp_accounting import get_sigma_gaussian
    ideal = math.sqrt(wanted.rounds) * float(get_sigma_gaussian(wanted.epsilon, wanted.delta))
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
    return Plan(wanted, min(found, key=lambda mechanism: mechanism.multiplier))


def _with_bits(wanted: Wanted, ideal: float, value_bits: int) -> Mechanism:
    def spent(multiplier: float) -> float | None:
        mechanism = wanted.mechanism(multiplier, value_bits)
        worst = [Release(mechanism, dropouts) for dropouts in sorted({0, wanted.tolerated})]
        each = [epsilon_in(COLLUDING, [release] * wanted.rounds, wanted.delta) for release in worst]
        known = [one for one in each if one is not None]
        return max(known) if len(known) == len(each) else None

    return wanted.mechanism(_least(spent, ideal, wanted), value_bits)


def _least(spent: Callable[[float], float | None], start: float, wanted: Wanted) -> float:
    """Return the least multiplier from `start` on, to 0.01 %, with which what is spent is at most what is wanted."""

    def enough(multiplier: float) -> bool:
        found = spent(multiplier)
        return found is not None and found <= wanted.epsilon

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
        f"{LARGEST_MULTIPLIER:g} times the clip: raise epsilon or plan fewer rounds"
    )
