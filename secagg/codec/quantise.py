"""Coordinates: reals in [-clip, clip] to integer levels, without bias, and sums of levels back to reals.

Everything works in place on blocks of float64 (k,), so memory does not grow with the model.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from secagg_protocols.errors import InputError
from secagg_protocols.primitives.randomness import Randomness

BLOCK = 1 << 16  # coordinates: the temporaries of one block stay in cache
DRAW_BITS = 32

Reals = npt.NDArray[np.float64]


def stochastic_round(values: Reals, randomness: Randomness) -> Reals:
    """Round each value to one of its two neighbouring integers, up with probability its fractional part.

    values      float64 (k,), each in [0, 2**32]; overwritten
    randomness  4 bytes are drawn per value

    Returns float64 (k,) of integers: an integer stays as it is, no value moves by 1 or more, and the expectation
    exceeds the value by less than 2**-32 (the draw has 32 bits, so the probability is rounded up to a multiple of
    2**-32).
    """
    draws = np.frombuffer(randomness.bytes(4 * values.size), dtype="<u4")
    rounded = np.floor(values)
    values -= rounded  # the fractional part, exact in float64
    values *= 2.0**DRAW_BITS
    rounded += draws < values
    return rounded


def clip_in_place(name: str, values: Reals, clip: float) -> int:
    """Clip to [-clip, clip] and return how many were outside. `name` is the array's, for the error.

    Raises InputError on NaN and infinity: they are a broken model, not a large update.
    """
    magnitudes = np.abs(values)
    peak = check_finite(name, magnitudes)
    if peak <= clip:
        return 0
    np.clip(values, -clip, clip, out=values)
    return int(np.count_nonzero(magnitudes > clip))


def check_finite(name: str, magnitudes: Reals) -> float:
    """Return the largest of some magnitudes. Raises InputError where they are not all finite, by the array's name."""
    peak = float(magnitudes.max(initial=0.0))  # NaN if any is
    if not np.isfinite(peak):
        raise InputError(f"array {name!r} holds NaN or infinity: find out why training diverged, or skip this round")
    return peak


def quantise(values: Reals, clip: float, share: float, levels: int, randomness: Randomness) -> Reals:
    """Values in [-clip, clip], scaled by share in (0, 1], as integers in 0..levels; zero is levels / 2.

    `values` is overwritten. Each step rounds monotonically, so that no |value| <= clip ends above the top level.
    """
    values /= clip
    values *= share
    values += 1
    values *= levels / 2
    return stochastic_round(values, randomness)


def dequantise(totals: npt.NDArray[Any], survivors: int, clip: float, scale: float, levels: int) -> Reals:
    """Sums of survivors' integers as means: (total - survivors * levels / 2) * scale, clipped to [-clip, clip].

    The exact mean lies in that range, so clipping never adds to the error.
    """
    values = totals.astype(np.float64)
    values -= survivors * levels / 2
    values *= scale
    return np.clip(values, -clip, clip, out=values)


def check_total(total: npt.NDArray[Any], length: int, survivors: int, levels: int) -> None:
    """Raises InputError unless `total` can be the sum of `survivors` vectors (length,) of integers in 0..levels."""
    if not isinstance(survivors, int) or survivors < 1:
        raise InputError(
            f"survivors must be an int of at least 1, not {survivors!r}: pass how many vectors were summed"
        )
    if not isinstance(total, np.ndarray) or total.dtype.kind != "u" or total.shape != (length,):
        found = f"{total.dtype} {total.shape}" if isinstance(total, np.ndarray) else type(total).__name__
        raise InputError(f"total must be unsigned integers ({length},), not {found}: pass the scheme's output")
    highest = survivors * levels
    if highest >= 1 << 64:
        raise InputError(f"{survivors} survivors up to {levels} each overflow 64 bits: use fewer value_bits")
    if (reached := int(total.max())) > highest:
        raise InputError(
            f"total reaches {reached}, above the {highest} of {survivors} survivors: "
            "check the survivor count, and that all hold the same codec"
        )
