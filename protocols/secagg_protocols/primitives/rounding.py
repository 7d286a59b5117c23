"""Rounding and noise in one draw: a real number x becomes D(x, σ), a discrete Gaussian around x itself.

x is first put on the grid of 1/256, up or down by chance so that its mean stays: tables are made for finitely
many centres. Then 12 uniform bits are looked up in the table of its centre, 4 + 64 more decide where those do not.
Table look-ups are not constant in time: see THREAT_MODEL.md.
"""

from __future__ import annotations

import hashlib
from fractions import Fraction
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from .gaussian import FIRST_BITS, MORE_BITS, Bytes, distance_of, distribution

GRID = 256
"""Steps of the grid to a unit."""

DITHER_BITS = 16
"""The dither has so many bits: a coordinate lands up to 2⁻¹⁶ of a grid step from where a real dither would put it."""

_TABLE_BITS = 12
_AT_ONCE = 1 << 15
LARGEST = 2.0**28
"""No larger number is rounded: a double holds those below to a dither's last bit."""


class Rounder:
    """x → D(x, σ), for one σ. Use `rounder` to get one."""

    def __init__(self, sigma: str) -> None:
        """`sigma`: a decimal number, small enough that every table entry fits a byte (up to 9)."""
        self.sigma = float(sigma)
        self.exactly = [distribution(sigma, Fraction(numerator, GRID)) for numerator in range(GRID)]
        ends = [centred.looked_up(_TABLE_BITS) for centred in self.exactly]
        self._table = np.concatenate([low for low, _ in ends]).astype(np.int8)
        self._undecided = np.concatenate([low != high for low, high in ends])
        self.bound = max(centred.bound for centred in self.exactly)
        """A result is within this of the integer below x."""

    def __repr__(self) -> str:
        return f"Rounder({self.sigma})"

    @cached_property
    def digest(self) -> bytes:
        """32 bytes that name the tables."""
        return hashlib.sha256(b"".join(centred.digest for centred in self.exactly)).digest()

    @property
    def distance(self) -> float:
        """An upper bound of the statistical distance between a result and D(x, σ), x being on the grid."""
        return distance_of(self.sigma)

    def round(self, values: NDArray[np.float64], source: Bytes) -> NDArray[np.int64]:
        """Return one draw of D(x, σ) for every x, shape as `values`, from fresh uniform bytes.

        Raises `InputError` for a value that is not finite or beyond ±`LARGEST`.
        """
        flat = values.reshape(-1)
        rounded = np.empty(flat.size, dtype=np.int64)
        for start in range(0, flat.size, _AT_ONCE):
            rounded[start : start + _AT_ONCE] = self._round(flat[start : start + _AT_ONCE], source)
        return rounded.reshape(values.shape)

    def _round(self, values: NDArray[np.float64], source: Bytes) -> NDArray[np.int64]:
        if not (np.abs(values) <= LARGEST).all():
            raise InputError(
                f"a value is not finite or beyond ±2^{int(np.log2(LARGEST))}: clip it before it is rounded"
            )
        uniform = np.frombuffer(source.bytes(4 * values.size), dtype="<u2").reshape(2, -1)
        dither, first = uniform[0] * 2.0**-DITHER_BITS, uniform[1]
        fine = np.floor(values * GRID + dither).astype(np.int64)
        centre = fine & (GRID - 1)
        entry = (centre << _TABLE_BITS) + (first >> (FIRST_BITS - _TABLE_BITS))
        rounded: NDArray[np.int64] = (fine >> 8) + self._table.take(entry)
        undecided = np.flatnonzero(self._undecided.take(entry))
        more = np.frombuffer(source.bytes(8 * undecided.size), dtype="<u8").tolist()
        decided = zip(centre[undecided].tolist(), first[undecided].tolist(), more, strict=True)
        values_there = [self.exactly[at].value(high << MORE_BITS | low) for at, high, low in decided]
        rounded[undecided] = (fine[undecided] >> 8) + np.array(values_there, dtype=np.int64)
        return rounded


@lru_cache(maxsize=4)
def rounder(sigma: str) -> Rounder:
    """Return x → D(x, σ); its tables are made once."""
    return Rounder(sigma)
