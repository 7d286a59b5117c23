"""Discrete Gaussians over the integers, by inversion of their exact distribution function.

A sample is 16 uniform bits looked up in a table. Where those bits do not decide (the few table entries that a step of
the distribution function falls into), 64 more bits do. Every step is then exact to 2⁻⁸¹ and the tails that are cut off
weigh less: a sample is within 2⁻⁷⁵ of its distribution for σ = 9, 2⁻⁷⁶ for σ = 4.5 (statistical distance).
Table look-ups are not constant in time: see THREAT_MODEL.md.
"""

from __future__ import annotations

from bisect import bisect_right
from decimal import Decimal, localcontext
from functools import lru_cache
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

_FIRST_BITS = 16
_MORE_BITS = 64
_PRECISION = _FIRST_BITS + _MORE_BITS


class Bytes(Protocol):
    """Where uniform bytes come from."""

    def bytes(self, count: int) -> bytes:
        """Return `count` uniform bytes."""


class Gaussian:
    """D_{Z,σ}: probability of k proportional to exp(−k²/2σ²), for σ up to 9. Use `gaussian` to get one."""

    def __init__(self, sigma: str) -> None:
        """`sigma`: a decimal number."""
        self.sigma = float(sigma)
        steps, self.bound = _distribution(sigma)
        self._steps = steps
        """Entry i: 2⁸⁰ · P(k < i − bound), rounded; the last is 2⁸⁰."""
        firsts = [bisect_right(steps, index << _MORE_BITS) - 1 for index in range(1 << _FIRST_BITS)]
        lasts = [bisect_right(steps, ((index + 1) << _MORE_BITS) - 1) - 1 for index in range(1 << _FIRST_BITS)]
        self._table = (np.array(firsts) - self.bound).astype(np.int8)
        self._undecided = np.array(firsts) != np.array(lasts)

    def __repr__(self) -> str:
        return f"Gaussian({self.sigma})"

    def sample(self, count: int, source: Bytes) -> NDArray[np.int8]:
        """Return independent samples, all within ±`bound`."""
        first = np.frombuffer(source.bytes(2 * count), dtype="<u2")
        samples: NDArray[np.int8] = self._table[first]
        undecided = np.flatnonzero(self._undecided[first])
        more = np.frombuffer(source.bytes(8 * undecided.size), dtype="<u8").tolist()
        for position, low in zip(undecided.tolist(), more, strict=True):
            high = int(first[position])
            samples[position] = bisect_right(self._steps, high << _MORE_BITS | low) - 1 - self.bound
        return samples


@lru_cache(maxsize=4)
def gaussian(sigma: str) -> Gaussian:
    """Return D_{Z,σ}; its tables are made once."""
    return Gaussian(sigma)


def _distribution(sigma: str) -> tuple[list[int], int]:
    """Return (2⁸⁰ · P(k < i − bound) for i = 0 … 2·bound + 1, bound), from 60-digit arithmetic."""
    with localcontext() as context:
        context.prec = 60
        variance = 2 * Decimal(sigma) ** 2
        weights = []
        k = 0
        while True:
            weight = (-Decimal(k * k) / variance).exp()
            if weight < Decimal(2) ** -(_PRECISION + 8):
                break
            weights.append(weight)
            k += 1
        bound = k - 1
        total = weights[0] + 2 * sum(weights[1:])
        below = Decimal(0)
        steps = [0]
        for value in range(-bound, bound + 1):
            below += weights[abs(value)]
            steps.append(int((below / total * 2**_PRECISION).to_integral_value()))
    steps[-1] = 1 << _PRECISION
    return steps, bound
