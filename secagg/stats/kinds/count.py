"""How many rows there are, by group: n_g."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from secagg.stats.domain import Domain
from secagg.stats.results import Result, Shown
from secagg.stats.rows import Rows
from secagg.stats.spans import Spans
from secagg.stats.statistic import State, Statistic, refuse_state

from .cells import cells, counted, shown_counts


class CountState(State, frozen=True):
    """counts: by cell; none before the sum."""

    counts: tuple[int, ...]

    @property
    def done(self) -> bool:
        return bool(self.counts)


class CountResult(Result, frozen=True, tag="count"):
    """by: the column of groups. groups, counts: None where one is not shown. missing: rows of no group."""

    by: str | None
    groups: tuple[str, ...]
    counts: tuple[int | None, ...]
    missing: int | None

    def tables(self) -> Iterable[Shown]:
        if self.by is None:
            yield Shown("rows", ("rows",), (self.counts,))
        else:
            listed = (*zip(self.groups, self.counts, strict=True), ("(missing)", self.missing))
            yield Shown(f"rows by {self.by}", (self.by, "rows"), listed)


class Count(Statistic, frozen=True, tag="count"):
    """Rows of all sites together, in all or in each category of `by`."""

    by: str | None = None

    def state_type(self) -> type[State]:
        return CountState

    def reads(self) -> tuple[str, ...]:
        return () if self.by is None else (self.by,)

    def check(self, query: Domain) -> None:
        query.groups(self.by)

    def begin(self, query: Domain) -> State:
        return CountState(())

    def check_state(self, state: CountState, query: Domain) -> None:
        if state.counts:
            raise refuse_state(self, "holds counts, and none are needed")

    def spans(self, state: CountState, query: Domain) -> Spans:
        return Spans.of((cells(query, self.by), 0, query.rows))

    def local(self, rows: Rows, state: CountState, query: Domain) -> NDArray[np.int64]:
        return counted(rows, rows.complete(*self.reads()), self.by, query)

    def combine(self, total: NDArray[np.int64], state: CountState, query: Domain) -> State:
        return CountState(tuple(total.tolist()))

    def finish(self, state: CountState, query: Domain) -> Result:
        *counts, missing = shown_counts(state.counts, query.minimum_cell)
        return CountResult(self.by, query.groups(self.by), tuple(counts), missing)
