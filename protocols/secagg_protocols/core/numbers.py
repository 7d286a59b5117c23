"""Parameters as plain numbers: equal values must look equal, and be hashed equally."""

from __future__ import annotations

import math
import operator

from ..errors import ParameterError


def whole(name: str, value: object) -> int:
    """Return a parameter as a plain int: equal values must look equal. Raises `ParameterError` for no integer."""
    try:
        return int(operator.index(value))  # type: ignore[arg-type]
    except TypeError:
        raise ParameterError(f"{name}={value!r} is not an integer") from None


def fraction(name: str, value: object) -> float:
    """Return a parameter as a plain float, never −0. Raises `ParameterError` when it is not a number."""
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise ParameterError(f"{name}={value!r} is not a number") from None
    if math.isnan(number):
        raise ParameterError(f"{name}={value!r} is not a number")
    return number + 0.0
