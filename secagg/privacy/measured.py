"""Noise that was measured beside noise that was promised."""

import math


def standard_errors(ratio: float, count: int) -> float:
    """Return how many standard errors measured noise is off what was promised; negative: too little.

    ratio: the mean of `count` squared errors over the variance promised. The cube root of it is nearly normal, for few
    as well (Wilson and Hilferty, PNAS 1931).
    """
    spread = 2 / (9 * count)
    return (math.cbrt(ratio) - (1 - spread)) / math.sqrt(spread)
