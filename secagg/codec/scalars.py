"""The weight and the metrics: scalars that ride in one coordinate each, behind the arrays."""

import operator
from collections.abc import Mapping
from math import isfinite
from typing import Any

import numpy as np
import numpy.typing as npt

from secagg_protocols.errors import InputError


def checked_weight(weight: int | None, weight_max: int | None) -> int:
    """The weight as an int, 1 when unweighted. Raises InputError, without its value: it is private."""
    if weight_max is None:
        if weight is not None:
            raise InputError("weight was given to an unweighted codec: leave it out, or make the codec with weight_max")
        return 1
    if weight is None:
        raise InputError(f"weight is missing: pass this participant's number of examples, 1..{weight_max}")
    try:
        count = operator.index(weight)
    except TypeError:
        raise InputError(f"weight must be an int, not {type(weight).__name__}: pass a number of examples") from None
    if count < 1:
        raise InputError("weight is below 1: a participant without examples must not take part")
    if count > weight_max:
        raise InputError(
            f"weight is above weight_max = {weight_max}: pass min(weight, {weight_max}) or agree on a larger"
        )
    return count


def check_total_weight(weight: int, survivors: int, weight_max: int | None) -> None:
    """Raises InputError unless `survivors` weights in 1..weight_max can add up to `weight`."""
    highest = survivors * (weight_max or 1)
    if not 1 <= survivors <= weight <= highest:
        raise InputError(
            f"total weight {weight} of {survivors} survivors must be in {survivors}..{highest}, with at least one "
            "survivor: check the survivor count, and that all hold the same codec"
        )


def unit_metrics(
    ranges: Mapping[str, tuple[float, float]], metrics: Mapping[str, float]
) -> tuple[npt.NDArray[np.float64], int]:
    """Metrics in the order of `ranges`, each as its place in its range, float64 (k,) in [0, 1]; how many were outside.

    Raises InputError on a missing, unknown or non-finite metric.
    """
    if odd := sorted(ranges.keys() ^ metrics.keys(), key=str):
        state = "missing" if odd[0] in ranges else "not one of the codec's"
        raise InputError(f"metric {odd[0]!r} is {state}: pass exactly {sorted(ranges)}")
    units = np.empty(len(ranges))
    outside = 0
    for index, (name, (low, high)) in enumerate(ranges.items()):
        value = _finite(name, metrics[name])
        outside += not low <= value <= high
        units[index] = (min(max(value, low), high) - low) / (high - low)
    return units, outside


def _finite(name: str, value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise InputError(f"metric {name!r} is a {type(value).__name__}: pass a number") from None
    if not isfinite(number):
        raise InputError(f"metric {name!r} is NaN or infinite: pass a finite number, or agree on a codec without it")
    return number
