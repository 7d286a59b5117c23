"""Sum, mean and variance of a column of numbers, in all or by group (`moments`)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import TypeVar

import msgspec

from secagg.extras import needed
from secagg.stats.domain import Domain
from secagg.stats.results import Result, Shown

from .cells import missing_note, shown_counts, shown_missing
from .moments import Moments, OfColumn
from .sums import SumsState

CONFIDENCE = 0.95
HEADINGS = {"standard_error": "standard error", "low": "95 % from", "high": "to"}
"""What a field is called in a table, where not by its name."""


class Group(msgspec.Struct, frozen=True):
    """One group. group: its name, empty for all rows. n: its rows in which nothing is missing."""

    group: str
    n: int | None


class GroupSum(Group, frozen=True):
    """sum: Σx."""

    sum: float | None


class GroupMean(Group, frozen=True):
    """mean, its standard error, and its 95 % interval by Student's t. deviation: the standard deviation."""

    mean: float | None
    standard_error: float | None
    low: float | None
    high: float | None
    deviation: float | None


class GroupVariance(Group, frozen=True):
    """variance: Σ(x − x̄)² / (n − 1). standard_error: what it is for normal values, s²·√(2 / (n − 1))."""

    variance: float | None
    standard_error: float | None
    deviation: float | None


class ByGroup(Result, frozen=True):
    """Base: column, by: what was asked. missing: rows in which one of the two is missing. decimals: those kept."""

    column: str
    by: str | None
    decimals: int
    missing: int | None


class SumResult(ByGroup, frozen=True, tag="sum"):
    """rows: by group."""

    rows: tuple[GroupSum, ...]

    def tables(self) -> Iterable[Shown]:
        yield table_of(self, self.rows)


class MeanResult(ByGroup, frozen=True, tag="mean"):
    """rows: by group."""

    rows: tuple[GroupMean, ...]

    def tables(self) -> Iterable[Shown]:
        yield table_of(self, self.rows)


class VarianceResult(ByGroup, frozen=True, tag="variance"):
    """rows: by group."""

    rows: tuple[GroupVariance, ...]

    def tables(self) -> Iterable[Shown]:
        yield table_of(self, self.rows)


def table_of(result: ByGroup, rows: Iterable[Group]) -> Shown:
    """Return the table of a result: one line a group, a column for each of its numbers."""
    listed = list(rows)
    names = listed[0].__struct_fields__[result.by is None :]
    return Shown(
        f"{result.__struct_config__.tag} of {result.column}" + ("" if result.by is None else f" by {result.by}"),
        tuple(result.by or name if name == "group" else HEADINGS.get(name, name) for name in names),
        tuple(tuple(getattr(row, name) for name in names) for row in listed),
        (missing_note(result.missing),),
    )


G = TypeVar("G", bound=Group)


def by_group(
    asked: OfColumn, state: SumsState, query: Domain, made: Callable[[str, int | None, Moments | None], G]
) -> tuple[tuple[G, ...], int | None]:
    """Return a row for each group, and the rows in which a value is missing."""
    shown = shown_counts(state.counts[:-1], query.minimum_cell)
    groups = zip(query.groups(asked.by), shown, asked.moments(state, query), strict=True)
    return tuple(made(*group) for group in groups), shown_missing(state.counts, query.minimum_cell)


class Sum(OfColumn, frozen=True, tag="sum"):
    """Σx."""

    powers = 1

    def finish(self, state: SumsState, query: Domain) -> Result:
        rows, missing = by_group(self, state, query, _sum)
        return SumResult(self.column, self.by, query.decimals(self.column), missing, rows)


class Mean(OfColumn, frozen=True, tag="mean"):
    """Σx / n, with its standard error s / √n."""

    def finish(self, state: SumsState, query: Domain) -> Result:
        rows, missing = by_group(self, state, query, mean_of)
        return MeanResult(self.column, self.by, query.decimals(self.column), missing, rows)


class Variance(OfColumn, frozen=True, tag="variance"):
    """Σ(x − x̄)² / (n − 1)."""

    def finish(self, state: SumsState, query: Domain) -> Result:
        rows, missing = by_group(self, state, query, _variance)
        return VarianceResult(self.column, self.by, query.decimals(self.column), missing, rows)


def _sum(group: str, n: int | None, moments: Moments | None) -> GroupSum:
    return GroupSum(group, n, None if moments is None else moments.sum)


def mean_of(group: str, n: int | None, moments: Moments | None) -> GroupMean:
    if moments is None:
        return GroupMean(group, n, None, None, None, None, None)
    mean = moments.mean
    if moments.variance is None:
        return GroupMean(group, n, mean, None, None, None, None)
    error = math.sqrt(moments.variance / moments.n)
    reach = t_quantile(moments.n - 1) * error
    return GroupMean(group, n, mean, error, mean - reach, mean + reach, math.sqrt(moments.variance))


def _variance(group: str, n: int | None, moments: Moments | None) -> GroupVariance:
    variance = None if moments is None else moments.variance
    if moments is None or variance is None:
        return GroupVariance(group, n, None, None, None)
    error = variance * math.sqrt(2 / (moments.n - 1))
    return GroupVariance(group, n, variance, error, math.sqrt(variance))


def t_quantile(freedom: float) -> float:
    with needed("stats"):
        from scipy.stats import t
    return float(t.ppf((1 + CONFIDENCE) / 2, freedom))
