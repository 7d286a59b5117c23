"""How columns vary together: covariances and correlations over the rows in which none of them is missing.

C_ij = (p_ij − s_i·s_j / n) / (n − 1)    r_ij = C_ij / √(C_ii·C_jj)    p_ij = Σ(u_i − m_i)(u_j − m_j), exact
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import combinations_with_replacement

import numpy as np
from numpy.typing import NDArray

from secagg.extras import needed
from secagg.stats.domain import Domain
from secagg.stats.results import Result, Shown
from secagg.stats.rows import Rows
from secagg_protocols.errors import ParameterError

from .cells import missing_note, shown_missing
from .sums import OfSums, SumsState

MOST_COLUMNS = 64

Matrix = tuple[tuple[float | None, ...], ...]


class CovarianceResult(Result, frozen=True, tag="covariance"):
    """mean: by column. covariance, correlation: by two columns. standard_error: of a correlation of normal values,
    (1 − r²) / √(n − 1). p: that there is none. Empty where there are too few rows to be shown, or fewer than three."""

    columns: tuple[str, ...]
    decimals: tuple[int, ...]
    n: int | None
    missing: int | None
    mean: tuple[float, ...]
    covariance: Matrix
    correlation: Matrix
    standard_error: Matrix
    p: Matrix

    def tables(self) -> Iterable[Shown]:
        note = (f"rows: {'too few to be shown' if self.n is None else self.n}", missing_note(self.missing))
        for title, matrix in (("covariance", self.covariance), ("correlation", self.correlation)):
            lines = tuple((name, *line) for name, line in zip(self.columns, matrix, strict=False))
            yield Shown(title, ("", *self.columns), lines, note)


class Covariance(OfSums, frozen=True, tag="covariance"):
    """Covariances and correlations of two or more columns of numbers."""

    columns: tuple[str, ...]

    @property
    def grouped_by(self) -> str | None:
        return None

    def reads(self) -> tuple[str, ...]:
        return self.columns

    def check(self, query: Domain) -> None:
        if not 2 <= len(self.columns) <= MOST_COLUMNS or len(set(self.columns)) < len(self.columns):
            raise ParameterError(f"covariance of {len(self.columns)} columns: name 2 to {MOST_COLUMNS} different ones")
        super().check(query)

    def _pairs(self) -> list[tuple[str, str]]:
        return list(combinations_with_replacement(self.columns, 2))

    def quantities(self, rows: Rows, query: Domain) -> list[NDArray[np.int64]]:
        centred = {name: rows.units(name) - query.number(name).middle for name in self.columns}
        return [*centred.values(), *(centred[one] * centred[other] for one, other in self._pairs())]

    def ranges(self, query: Domain) -> Sequence[tuple[int, int]]:
        halves = {name: query.number(name).half for name in self.columns}
        alone = [(-half, half) for half in halves.values()]
        products = [
            (0 if one == other else -halves[one] * halves[other], halves[one] * halves[other])
            for one, other in self._pairs()
        ]
        return [*alone, *products]

    def are_of_rows(self, n: int, sums: Sequence[int], query: Domain) -> bool:
        size = len(self.columns)
        first = dict(zip(self.columns, sums, strict=False))
        about = {
            (one, other): n * product - first[one] * first[other]
            for (one, other), product in zip(self._pairs(), sums[size:], strict=True)
        }
        return super().are_of_rows(n, sums, query) and all(
            min(about[one, one], about[other, other]) >= 0
            and about[one, other] ** 2 <= about[one, one] * about[other, other]
            for one, other in about
        )

    def finish(self, state: SumsState, query: Domain) -> Result:
        (found,) = self.sums_of(state, query)
        decimals = tuple(query.decimals(name) for name in self.columns)
        missing = shown_missing(state.counts, query.minimum_cell)
        if found is None:
            return CovarianceResult(self.columns, decimals, None, missing, (), (), (), (), ())
        n, sums = found
        columns = [query.number(name) for name in self.columns]
        means = tuple(
            (total + n * column.middle) / n / column.scale
            for total, column in zip(sums[: len(columns)], columns, strict=True)
        )
        if n < 3:
            return CovarianceResult(self.columns, decimals, n, missing, means, (), (), (), ())
        tables = self._tables(n, sums, [column.scale for column in columns])
        return CovarianceResult(self.columns, decimals, n, missing, means, *tables)

    def _tables(self, n: int, sums: list[int], scales: list[float]) -> tuple[Matrix, Matrix, Matrix, Matrix]:
        """Return covariance, correlation, its standard error and p."""
        size = len(self.columns)
        products = dict(zip(combinations_with_replacement(range(size), 2), sums[size:], strict=True))

        def about_means(one: int, other: int) -> int:
            """n·Σ(u_i − ū_i)(u_j − ū_j), exact."""
            return n * products[min(one, other), max(one, other)] - sums[one] * sums[other]

        def correlation(one: int, other: int) -> float | None:
            variances = about_means(one, one) * about_means(other, other)
            return None if variances == 0 else max(-1.0, min(1.0, about_means(one, other) / math.sqrt(variances)))

        places = range(size)
        covariance = [[about_means(i, j) / n / (n - 1) / scales[i] / scales[j] for j in places] for i in places]
        r = [[1.0 if i == j else correlation(i, j) for j in places] for i in places]
        errors = [[None if one is None else (1 - one**2) / math.sqrt(n - 1) for one in line] for line in r]
        p = [[None if one is None else _p(one, n) for one in line] for line in r]
        return _frozen(covariance), _frozen(r), _frozen(errors), _frozen(p)


def _frozen(matrix: Sequence[Sequence[float | None]]) -> Matrix:
    return tuple(map(tuple, matrix))


def _p(r: float, n: int) -> float:
    """Return the chance of so large a correlation between two columns without any, by Student's t."""
    if abs(r) >= 1:
        return 0.0
    with needed("stats"):
        from scipy.stats import t
    return float(2 * t.sf(abs(r) * math.sqrt((n - 2) / (1 - r**2)), n - 2))
