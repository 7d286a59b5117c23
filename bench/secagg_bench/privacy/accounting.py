"""ε at few bits, and ε when noise is missing."""

from __future__ import annotations

import math
from collections.abc import Iterator

from secagg.privacy.mechanism import Mechanism
from secagg.privacy.views import SERVER, Release, epsilon, epsilons

from .rows import Row

PART = "ε"
DELTA = 1e-5
MOST = {8: 4.39, 10: 4.380, 12: 4.378, 16: 4.378}
"""Bits → ε of one round, z = 1, ten participants, 10,000 values."""

MISSING = {0: 8.596, 1: 9.166, 2: 9.852, 3: 10.699, 5: 13.207}
"""Of ten participants' noise so many missing → ε of 50 rounds, z = 4."""

OWN_ERROR = {8: 1.01, 10: 1.001}
"""Bits → variance of the plan's noise over that of the continuous Gaussian of the same ε, at most."""


def accounting() -> Iterator[Row]:
    """Yield ε as it is accounted."""
    for bits, most in MOST.items():
        mechanism = Mechanism(10, 10_000, 1.0, 1.0, bits)
        spent = epsilons([Release(mechanism)], DELTA)[SERVER]
        yield Row(PART, f"one round, z = 1, {bits} bits", number(spent), most=most)
        if bits in OWN_ERROR:
            what = f"noise over that of the continuous Gaussian of the same ε, {bits} bits"
            ratio = (mechanism.multiplier / mechanism.against(10, 0)) ** 2
            yield Row(PART, what, ratio, most=OWN_ERROR[bits])
    yield Row(PART, "one round, z = 1, continuous Gaussian", number(epsilon([1.0], DELTA)), 4.3771, 4.3773)
    for missing, expected in MISSING.items():
        spent = epsilon([4 * math.sqrt(1 - missing / 10)] * 50, DELTA)
        what = f"50 rounds, z = 4, {missing} of 10 participants' noise missing"
        yield Row(PART, what, number(spent), expected * 0.999, expected * 1.001)


def number(spent: float | None) -> float:
    """Return ε, or what holds no claim where it is unbounded."""
    return math.nan if spent is None else spent
