"""Sums of reals as integers: each row's summand has a public bound, so a scale is known that no sum outgrows."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from secagg_protocols.errors import ProtocolViolation

SUM_BITS = 52
"""A site's scaled sum lies in ±2^52: with its sign 53 bits, all that a float64 holds; 2^11 such sums fit in 64 bits."""

LARGEST = 1 << SUM_BITS


def exponent_for(bound: float, rows: int) -> int:
    """Return the largest power of two to scale by, for `rows` summands of at most `bound` each.

    Its place is the state, not every machine: their exponentials may differ in the last bit, and a scale may not.
    """
    return SUM_BITS - math.ceil(math.log2(bound * rows) + 1e-6)


def check_exponent(exponent: int, bound: float, rows: int) -> None:
    """Raise ProtocolViolation for a scale that is not the one for this bound."""
    if abs(exponent - exponent_for(bound, rows)) > 1:
        raise ProtocolViolation(
            f"a state scales sums by 2^{exponent}, which is not what its coefficients ask for", (0,)
        )


def to_integers(sums: NDArray[np.float64], exponent: int) -> NDArray[np.int64]:
    """Scale and round a site's sums; what rounding puts beyond the range is its end."""
    return np.clip(np.rint(np.ldexp(sums, exponent)), -LARGEST, LARGEST).astype(np.int64)


def to_reals(total: NDArray[np.int64], exponent: int) -> NDArray[np.float64]:
    """Return the sum over all sites in its own unit."""
    return np.ldexp(total.astype(np.float64), -exponent)
