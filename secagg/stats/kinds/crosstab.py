"""Two columns of categories against each other: n_ij, with Pearson's χ² of independence.

e_ij = n_i· n_·j / n    χ² = Σ (n_ij − e_ij)² / e_ij    with (r − 1)(c − 1) degrees of freedom
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
import numpy as np
from numpy.typing import NDArray

from secagg.extras import needed
from secagg.stats.domain import Domain
from secagg.stats.results import Cell, Result, Shown
from secagg.stats.rows import Rows
from secagg.stats.suppression import Axis, shown
from secagg_protocols.errors import ParameterError

from .cells import missing_note, shown_counts, shown_missing
from .counts import CountState, OfCounts

HIDDEN = "χ² is not given, as cells are hidden or a category has no row"


class ChiSquare(msgspec.Struct, frozen=True):
    """statistic, p: Pearson's. corrected, corrected_p: with Yates' correction, of two by two. expected: e."""

    statistic: float
    freedom: int
    p: float
    corrected: float | None
    corrected_p: float | None
    expected: tuple[tuple[float, ...], ...]


class CrosstabResult(Result, frozen=True, tag="crosstab"):
    """counts: by category of `row`, then of `column`. rows, columns: the counts of each column alone. None: not shown.

    chi_square: only where all counts are shown, as it would tell of those that are not.
    """

    row: str
    column: str
    row_groups: tuple[str, ...]
    column_groups: tuple[str, ...]
    counts: tuple[tuple[int | None, ...], ...]
    rows: tuple[int | None, ...]
    columns: tuple[int | None, ...]
    total: int | None
    missing: int | None
    chi_square: ChiSquare | None

    def tables(self) -> Iterable[Shown]:
        lines: list[tuple[Cell, ...]] = [
            (group, *counts, alone)
            for group, counts, alone in zip(self.row_groups, self.counts, self.rows, strict=True)
        ]
        lines.append(("all", *self.columns, self.total))
        yield Shown(
            f"{self.row} × {self.column}",
            (self.row, *(f"{self.column} {group}" for group in self.column_groups), "all"),
            tuple(lines),
            (missing_note(self.missing), self._tested),
        )

    @property
    def _tested(self) -> str:
        found = self.chi_square
        if found is None:
            return HIDDEN
        text = f"χ² = {found.statistic:.4g}, df = {found.freedom}, p = {found.p:.3g}"
        if found.corrected_p is not None:
            text += f"; with Yates' correction {found.corrected:.4g}, p = {found.corrected_p:.3g}"
        least = min(map(min, found.expected))
        return text + f"; the least expected count is {least:.3g}" + (", which is few" if least < 5 else "")


class Crosstab(OfCounts, frozen=True, tag="crosstab"):
    """Rows by the categories of two columns."""

    row: str
    column: str

    def reads(self) -> tuple[str, ...]:
        return (self.row, self.column)

    def check(self, query: Domain) -> None:
        query.category(self.row)
        query.category(self.column)
        if self.row == self.column:
            raise ParameterError(f"a crosstab of {self.row!r} with itself: name two columns")

    def tables(self, query: Domain) -> tuple[tuple[Axis, ...], ...]:
        return (tuple((name, query.groups(name)) for name in self.reads()),)

    def cells(self, query: Domain) -> int:
        rows, columns = self._shape(query)
        return rows * columns

    def _shape(self, query: Domain) -> tuple[int, int]:
        return len(query.groups(self.row)), len(query.groups(self.column))

    def local(self, rows: Rows, state: CountState, query: Domain) -> NDArray[np.int64]:
        complete = rows.complete()
        _, columns = self._shape(query)
        places = complete.codes(self.row) * columns + complete.codes(self.column)
        return np.append(np.bincount(places, minlength=self.cells(query)), rows.count - complete.count)

    def finish(self, state: CountState, query: Domain) -> Result:
        table = np.array(state.counts[:-1], dtype=np.int64).reshape(self._shape(query))
        least = query.minimum_cell
        may = shown(table, least)
        rows, columns = (shown_counts(table.sum(axis=1 - axis).tolist(), least) for axis in range(2))
        return CrosstabResult(
            self.row,
            self.column,
            query.groups(self.row),
            query.groups(self.column),
            tuple(
                tuple(int(count) if fine else None for count, fine in zip(*line, strict=True))
                for line in zip(table, may, strict=True)
            ),
            rows,
            columns,
            int(table.sum()) if table.sum() >= least else None,
            shown_missing(state.counts, least),
            _tested(table) if may.all() else None,
        )


def _tested(table: NDArray[np.int64]) -> ChiSquare | None:
    """Return the test; None where a category has no row, or there is one category only."""
    if min(table.shape) < 2 or not (table.sum(axis=0).all() and table.sum(axis=1).all()):
        return None
    with needed("stats"):
        from scipy.stats import chi2_contingency
    found = chi2_contingency(table, correction=False)
    corrected = chi2_contingency(table) if table.shape == (2, 2) else None
    return ChiSquare(
        float(found.statistic),
        int(found.dof),
        float(found.pvalue),
        None if corrected is None else float(corrected.statistic),
        None if corrected is None else float(corrected.pvalue),
        tuple(map(tuple, found.expected_freq.tolist())),
    )
