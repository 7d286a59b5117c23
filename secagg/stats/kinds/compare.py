"""Means of groups against each other: one-way analysis of variance, and Student's and Welch's t for two groups.

F = (Σ n_g (x̄_g − x̄)² / (k − 1)) / (Σ_g Σ(x − x̄_g)² / (n − k))
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import msgspec

from secagg.extras import needed
from secagg.stats.domain import Domain
from secagg.stats.results import Cell, Result, Shown
from secagg_protocols.errors import ParameterError

from .means import ByGroup, GroupMean, by_group, mean_of, t_quantile, table_of
from .moments import Moments, OfColumn
from .sums import SumsState


class Anova(msgspec.Struct, frozen=True):
    """between, within: the two sums of squares. freedom: their degrees of freedom."""

    between: float
    within: float
    freedom: tuple[int, int]
    f: float
    p: float


class TTest(msgspec.Struct, frozen=True):
    """difference: of the first mean less the second. low, high: its 95 % interval."""

    kind: str
    difference: float
    standard_error: float
    low: float
    high: float
    t: float
    freedom: float
    p: float


class CompareResult(ByGroup, frozen=True, tag="compare"):
    """rows: by group. compared: the groups that are shown and have two rows or more; the tests are of these.

    anova: None with fewer than two such groups, or where nothing varies in them. t_tests: of two such groups.
    """

    rows: tuple[GroupMean, ...]
    compared: tuple[str, ...]
    anova: Anova | None
    t_tests: tuple[TTest, ...]

    def tables(self) -> Iterable[Shown]:
        yield table_of(self, self.rows)
        yield Shown(
            f"analysis of variance of {self.column} by {self.by}",
            ("", "sum of squares", "df", "F", "p"),
            () if self.anova is None else self._variance(self.anova),
            (f"groups compared: {', '.join(self.compared) or 'none, as fewer than two are shown'}",),
        )
        if self.t_tests:
            headings = ("t-test", "diff.", "SE", "95 % from", "to", "t", "df", "p")
            lines = tuple(map(msgspec.structs.astuple, self.t_tests))
            yield Shown(f"{self.compared[0]} less {self.compared[1]}", headings, lines)

    def _variance(self, anova: Anova) -> tuple[tuple[Cell, ...], ...]:
        between, within = anova.freedom
        return (
            ("between groups", anova.between, between, anova.f, anova.p),
            ("within groups", anova.within, within, None, None),
        )


class Compare(OfColumn, frozen=True, tag="compare"):
    """Means of a column in the categories of `by`, with analysis of variance and t-tests."""

    def check(self, query: Domain) -> None:
        if self.by is None:
            raise ParameterError(f"a comparison of {self.column!r} needs groups: give by, a column of categories")
        super().check(query)

    def finish(self, state: SumsState, query: Domain) -> Result:
        rows, missing = by_group(self, state, query, mean_of)
        pairs = zip(query.groups(self.by), self.moments(state, query), strict=True)
        compared = {group: found for group, found in pairs if found is not None and found.n >= 2}
        groups = list(compared.values())
        return CompareResult(
            self.column,
            self.by,
            query.decimals(self.column),
            missing,
            rows,
            tuple(compared),
            _anova(groups),
            _t_tests(*groups) if len(groups) == 2 else (),
        )


def _anova(groups: Sequence[Moments]) -> Anova | None:
    n = sum(group.n for group in groups)
    within = math.fsum(group.squares for group in groups)
    if len(groups) < 2 or within == 0:
        return None
    mean = math.fsum(group.sum for group in groups) / n
    between = math.fsum(group.n * (group.mean - mean) ** 2 for group in groups)
    freedom = (len(groups) - 1, n - len(groups))
    f = (between / freedom[0]) / (within / freedom[1])
    with needed("stats"):
        from scipy.stats import f as fisher
    return Anova(between, within, freedom, f, float(fisher.sf(f, *freedom)))


def _t_tests(one: Moments, other: Moments) -> tuple[TTest, ...]:
    """Return Student's test, of groups that vary alike, and Welch's, of any."""
    if one.squares + other.squares == 0:
        return ()
    freedom = one.n + other.n - 2
    pooled = (one.squares + other.squares) / freedom
    parts = [group.squares / (group.n - 1) / group.n for group in (one, other)]
    squared = sum(part**2 / (group.n - 1) for part, group in zip(parts, (one, other), strict=True))
    return (
        _t_test("Student", one, other, pooled * (1 / one.n + 1 / other.n), freedom),
        _t_test("Welch", one, other, sum(parts), sum(parts) ** 2 / squared),
    )


def _t_test(kind: str, one: Moments, other: Moments, variance: float, freedom: float) -> TTest:
    with needed("stats"):
        from scipy.stats import t as student
    difference = one.mean - other.mean
    error = math.sqrt(variance)
    reach = t_quantile(freedom) * error
    p = float(2 * student.sf(abs(difference) / error, freedom))
    return TTest(kind, difference, error, difference - reach, difference + reach, difference / error, freedom, p)
