"""How many rows there are, by group: n_g."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from secagg.stats.domain import Domain
from secagg.stats.results import Result, Shown
from secagg.stats.rows import Rows
from secagg.stats.suppression import Axis

from .cells import counted, cut, missing_note, shown_counts, shown_missing
from .counts import CountState, OfCounts


class CountResult(Result, frozen=True, tag="count"):
    """by: the column of groups. groups, counts: side by side; None where one is not shown. missing: those of none."""

    by: str | None
    groups: tuple[str, ...]
    counts: tuple[int | None, ...]
    missing: int | None

    def tables(self) -> Iterable[Shown]:
        if self.by is None:
            yield Shown("count", ("rows",), (self.counts,))
        else:
            listed = tuple(zip(self.groups, self.counts, strict=True))
            yield Shown(f"count by {self.by}", (self.by, "rows"), listed, (missing_note(self.missing),))


class Count(OfCounts, frozen=True, tag="count"):
    """Rows of all sites together, in all or in each category of `by`."""

    by: str | None = None

    sensitivity: ClassVar[float | None] = 1.0

    def reads(self) -> tuple[str, ...]:
        return () if self.by is None else (self.by,)

    def check(self, query: Domain) -> None:
        query.groups(self.by)

    def tables(self, query: Domain) -> tuple[tuple[Axis, ...], ...]:
        return cut(self.by, query)

    def cells(self, query: Domain) -> int:
        return len(query.groups(self.by))

    def local(self, rows: Rows, state: CountState, query: Domain) -> NDArray[np.int64]:
        return counted(rows, rows.complete(), self.by, query)

    def finish(self, state: CountState, query: Domain) -> Result:
        least = query.minimum_cell
        counts = shown_counts(state.counts[:-1], least)
        return CountResult(self.by, query.groups(self.by), counts, shown_missing(state.counts, least))
