"""How the values of a column are spread: rows in each of `bins` equal bins over its public range.

A row is in bin ⌊(u − low) · bins / (high − low)⌋ of its units u, and one at the upper bound in the last bin. Values
beyond the bounds count as the bound, so they are in the outer bins.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from secagg.stats.domain import Domain
from secagg.stats.results import Result, Shown
from secagg.stats.rows import Rows
from secagg.stats.spans import MOST_BITS
from secagg.stats.suppression import Axis
from secagg_protocols.errors import ParameterError

from .cells import missing_note, shown_counts, shown_missing
from .counts import CountState, OfCounts

MOST_BINS = 4096


class HistogramResult(Result, frozen=True, tag="histogram"):
    """edges: one more than there are counts; the last bin holds its upper edge as well."""

    column: str
    decimals: int
    missing: int | None
    edges: tuple[float, ...]
    counts: tuple[int | None, ...]

    def tables(self) -> Iterable[Shown]:
        rows = tuple(zip(self.edges, self.edges[1:], self.counts, strict=False))
        yield Shown(f"histogram of {self.column}", ("from", "to", "rows"), rows, (missing_note(self.missing),))


class Histogram(OfCounts, frozen=True, tag="histogram"):
    """Rows in each of `bins` equal bins between the column's bounds."""

    column: str
    bins: int = 20

    sensitivity: ClassVar[float | None] = 1.0

    def reads(self) -> tuple[str, ...]:
        return (self.column,)

    def check(self, query: Domain) -> None:
        column = query.number(self.column)
        if not 2 <= self.bins <= min(MOST_BINS, column.high_units - column.low_units):
            raise ParameterError(
                f"bins={self.bins} of {self.column!r} is not between 2 and {MOST_BINS}, or finer than its "
                f"{column.decimals} decimals: give fewer bins"
            )
        if (column.high_units - column.low_units) * self.bins >= 1 << MOST_BITS:
            raise ParameterError(
                f"bins={self.bins} of {self.column!r} with {column.decimals} decimals are beyond {MOST_BITS} bits: "
                "give fewer decimals, or fewer bins"
            )

    def tables(self, query: Domain) -> tuple[tuple[Axis, ...], ...]:
        return (((self.column, self.bins),),)

    def widths(self, query: Domain) -> dict[str, float]:
        column = query.number(self.column)
        return {self.column: (column.high - column.low) / self.bins}

    def cells(self, query: Domain) -> int:
        return self.bins

    def local(self, rows: Rows, state: CountState, query: Domain) -> NDArray[np.int64]:
        column = query.number(self.column)
        complete = rows.complete()
        above = complete.units(self.column) - column.low_units
        places = np.minimum(above * self.bins // (column.high_units - column.low_units), self.bins - 1)
        return np.append(np.bincount(places, minlength=self.bins), rows.count - complete.count)

    def finish(self, state: CountState, query: Domain) -> Result:
        column = query.number(self.column)
        least = query.minimum_cell
        width = column.high_units - column.low_units
        edges = [
            (column.low_units * self.bins + place * width) / (self.bins * column.scale)
            for place in range(self.bins + 1)
        ]
        return HistogramResult(
            self.column,
            query.decimals(self.column),
            shown_missing(state.counts, least),
            tuple(edges),
            shown_counts(state.counts[:-1], least),
        )
