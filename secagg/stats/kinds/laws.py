"""Tails and quantiles of the laws that tests go by."""

from __future__ import annotations

from secagg.extras import needed


def chi2_tail(value: float, freedom: int) -> float:
    """Return the chance of a larger χ²."""
    with needed("stats"):
        from scipy.stats import chi2
    return float(chi2.sf(value, freedom))


def two_tails(value: float, freedom: int | None = None) -> float:
    """Return the chance of a value as far from 0: Student's t with `freedom`, or the normal law for None."""
    with needed("stats"):
        from scipy.stats import norm, t
    return float(2 * (norm.sf(abs(value)) if freedom is None else t.sf(abs(value), freedom)))


def half_width(level: float, freedom: int | None = None) -> float:
    """Return how many standard errors an interval of this level reaches either way."""
    with needed("stats"):
        from scipy.stats import norm, t
    middle = (1 + level) / 2
    return float(norm.ppf(middle) if freedom is None else t.ppf(middle, freedom))
