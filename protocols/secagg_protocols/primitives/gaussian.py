"""Discrete Gaussians over the integers, by inversion of their exact distribution function.

A sample is 16 uniform bits looked up in a table. Where those bits do not decide (the table entries that a step of
the distribution function falls into), 64 more bits do. Every step is then exact to 2⁻⁸¹ and the tails that are cut off
weigh less: a sample is within `distance` of its distribution (statistical distance): 2⁻⁷⁵ for σ = 9, 2⁻⁷⁶ for σ = 4.5,
2⁻⁶⁶ for σ = 4096. All tables come from decimal arithmetic: two ends that hold the same width hold the same table.
Table look-ups are not constant in time: see THREAT_MODEL.md.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from dataclasses import dataclass
from decimal import Decimal, localcontext
from fractions import Fraction
from functools import lru_cache
from math import log, sqrt
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ..errors import ParameterError

WIDEST = 4096
"""The largest σ: its table has 90,000 entries."""

FIRST_BITS = 16
MORE_BITS = 64
PRECISION = FIRST_BITS + MORE_BITS
_DIGITS = 60
_IN_CACHE = 1 << 16
"""Samples that are looked up at a time."""


class Bytes(Protocol):
    """Where uniform bytes come from."""

    def bytes(self, count: int) -> bytes:
        """Return `count` uniform bytes."""


@dataclass(frozen=True, slots=True)
class Distribution:
    """A distribution function in whole 2⁻⁸⁰. steps: entry i is 2⁸⁰ · P(k < first + i), rounded; the last is 2⁸⁰."""

    steps: tuple[int, ...]
    first: int

    @property
    def last(self) -> int:
        """The largest value."""
        return self.first + len(self.steps) - 2

    @property
    def bound(self) -> int:
        """No value is larger, whatever its sign."""
        return max(-self.first, self.last)

    @property
    def digest(self) -> bytes:
        """32 bytes that name the table."""
        size = PRECISION // 8 + 1
        hashed = hashlib.sha256(self.first.to_bytes(4, "big", signed=True))
        for step in self.steps:
            hashed.update(step.to_bytes(size, "big"))
        return hashed.digest()

    def value(self, uniform: int) -> int:
        """Return the value that a uniform number below 2⁸⁰ stands for."""
        return bisect_right(self.steps, uniform) - 1 + self.first

    def looked_up(self, bits: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return for every number of the first `bits` bits the least and the greatest value it may stand for."""
        low = PRECISION - bits
        entries = np.arange(1 << bits)
        # A step at the start of an entry is reached by all of it, one further inside only by its further bits.
        reached = np.searchsorted([-(-step >> low) for step in self.steps], entries, side="right")
        begun = np.searchsorted([step >> low for step in self.steps], entries, side="right")
        return reached - 1 + self.first, begun - 1 + self.first


def distribution(sigma: str, centre: Fraction = Fraction(0)) -> Distribution:
    """Return D(centre, σ): probability of k proportional to exp(−(k − centre)²/2σ²), |centre| ≤ 1, from 60 digits.

    sigma: a decimal number. Values that weigh less than 2⁻⁸⁸ of the largest are cut off on both sides.
    Raises `ParameterError` for a width that is not between 0.5 and `WIDEST`.
    """
    with localcontext() as context:
        context.prec = _DIGITS
        width = Decimal(sigma)
        if width.is_nan() or not Decimal("0.5") <= width <= WIDEST:
            raise ParameterError(f"a discrete Gaussian of width {sigma} is not between 0.5 and {WIDEST}")
        twice = 2 * width * width
        middle = Decimal(centre.numerator) / Decimal(centre.denominator)
        above = _weights(-middle, twice)
        below = _weights(1 + middle, twice)
        weights = [*reversed(below), *above]
        total = sum(weights)
        so_far = Decimal(0)
        steps = [0]
        for weight in weights:
            so_far += weight
            steps.append(int((so_far / total * 2**PRECISION).to_integral_value()))
    steps[-1] = 1 << PRECISION
    return Distribution(tuple(steps), -len(below))


def distance_of(sigma: float) -> float:
    """Return an upper bound of the statistical distance between what a table of this width gives and D(·, σ).

    Half a unit of 2⁻⁸⁰ for each step, of which there are two to each value; tails that are cut off weigh less than one.
    """
    values = 2 * sigma * sqrt(2 * (PRECISION + 8) * log(2)) + 3
    return (values + 1) * 2.0 ** -(PRECISION + 1)


def _weights(distance: Decimal, twice: Decimal) -> list[Decimal]:
    """Return exp(−(distance + i)²/2σ²) for i = 0, 1, … while it counts. twice: 2σ².

    Each follows from the one before: exp is asked for three times, whatever the width.
    """
    weight = (-distance * distance / twice).exp()
    ratio = (-(2 * distance + 1) / twice).exp()
    falling = (Decimal(-2) / twice).exp()
    least = Decimal(2) ** -(PRECISION + 8)
    weights = []
    while weight >= least:
        weights.append(weight)
        weight *= ratio
        ratio *= falling
    return weights


class Gaussian:
    """D_{Z,σ}: probability of k proportional to exp(−k²/2σ²), for σ up to `WIDEST`. Use `gaussian` to get one."""

    def __init__(self, sigma: str) -> None:
        """`sigma`: a decimal number."""
        self.sigma = float(sigma)
        self.exactly = distribution(sigma)
        self.bound = self.exactly.bound
        lows, highs = self.exactly.looked_up(FIRST_BITS)
        self.dtype = np.dtype(np.int8 if self.bound < 1 << 7 else np.int16 if self.bound < 1 << 15 else np.int32)
        self._table = lows.astype(self.dtype)
        self._last = highs.astype(self.dtype)
        self._undecided = lows != highs
        self._low_parts = np.array([step & ((1 << MORE_BITS) - 1) for step in self.exactly.steps], dtype=np.uint64)

    def __repr__(self) -> str:
        return f"Gaussian({self.sigma})"

    @property
    def distance(self) -> float:
        """An upper bound of the statistical distance between a sample and D_{Z,σ}."""
        return distance_of(self.sigma)

    def sample(self, count: int, source: Bytes) -> NDArray[np.signedinteger]:
        """Return independent samples of type `dtype`, all within ±`bound`.

        source: 2 bytes a sample are asked for, then 8 for each that they leave undecided.
        """
        first = np.frombuffer(source.bytes(2 * count), dtype="<u2")
        samples = self._table.take(first)
        undecided = _where(self._undecided, first)
        more = np.frombuffer(source.bytes(8 * undecided.size), dtype="<u8")
        samples[undecided] = self._decide(first[undecided], more)
        return samples

    def _decide(self, first: NDArray[np.uint16], more: NDArray[np.uint64]) -> NDArray[np.signedinteger]:
        """Return the last value whose step is not above the whole 80 bits: all steps in question begin with `first`."""
        low = self._table[first].astype(np.int64)
        high = self._last[first].astype(np.int64)
        low_parts = self._low_parts
        open_ = np.flatnonzero(low < high)
        while open_.size:
            middle = (low[open_] + high[open_] + 1) >> 1
            reached = low_parts[middle - self.exactly.first] <= more[open_]
            low[open_[reached]] = middle[reached]
            high[open_[~reached]] = middle[~reached] - 1
            open_ = open_[low[open_] < high[open_]]
        return low.astype(self.dtype)


def _where(flags: NDArray[np.bool_], numbers: NDArray[np.uint16]) -> NDArray[np.intp]:
    """Return where numbers have their flag set; a piece at a time, so that what is looked up stays in cache."""
    found = [
        start + np.flatnonzero(flags.take(numbers[start : start + _IN_CACHE]))
        for start in range(0, numbers.size, _IN_CACHE)
    ]
    return np.concatenate(found) if found else np.empty(0, dtype=np.intp)


@lru_cache(maxsize=64)
def gaussian(sigma: str) -> Gaussian:
    """Return D_{Z,σ}; its tables are made once."""
    return Gaussian(sigma)
