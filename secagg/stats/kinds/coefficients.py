"""Coefficients of a model as people read them: estimate, standard error, test against 0, interval, ratio."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import msgspec

from .laws import half_width, two_tails

CONFIDENCE = 0.95


class Coefficient(msgspec.Struct, frozen=True):
    """statistic: estimate / standard error, z or t. low, high: the 95 % interval. ratio…: their exponentials: an odds,
    rate or hazard ratio for one unit more; None in a linear model, or where it is beyond what a float holds."""

    name: str
    estimate: float
    standard_error: float
    statistic: float
    p: float
    low: float
    high: float
    ratio: float | None
    ratio_low: float | None
    ratio_high: float | None


def coefficients_of(
    names: Sequence[str], estimates: Sequence[float], errors: Sequence[float], *, freedom: int | None, ratios: bool
) -> tuple[Coefficient, ...]:
    """Return them by Wald's test: Student's t with `freedom`, or the normal distribution for None."""
    reach = half_width(CONFIDENCE, freedom)
    found = []
    for name, estimate, error in zip(names, estimates, errors, strict=True):
        ends = (estimate, estimate - reach * error, estimate + reach * error)
        found.append(
            Coefficient(
                name,
                estimate,
                error,
                estimate / error,
                two_tails(estimate / error, freedom),
                *ends[1:],
                *(_ratio(value) if ratios else None for value in ends),
            )
        )
    return tuple(found)


def degrees(freedom: int) -> str:
    """Say how many degrees of freedom."""
    return f"{freedom} degree{'' if freedom == 1 else 's'} of freedom"


def of_references(references: Sequence[str]) -> Iterable[str]:
    """Yield a sentence on what categories are compared with."""
    if references:
        yield f"categories are compared with {', '.join(references)}"


def _ratio(value: float) -> float | None:
    return math.exp(value) if abs(value) < 700 else None
