"""Sums of a column and of its squares, by group: what sums, means, variances and their comparison are made from.

    s = Σ(u − m)    q = Σ(u − m)²    in units u around the middle m of the public range, exact
    Σx = (s + n·m) / 10^d    x̄ = Σx / n    s² = (n·q − s²) / (n·(n − 1)) / 10^2d

Counts go first. The sums of the groups that may be shown follow, with the counts of the same survivors.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from secagg.stats.domain import Domain
from secagg.stats.rows import Rows
from secagg.stats.spans import Spans
from secagg.stats.statistic import State, Statistic, refuse_state

from .cells import cells, counted, shown_groups, summed


class MomentsState(State, frozen=True):
    """counts: by cell, none before the first sum. groups: places of the groups whose values are summed. sums: of the
    groups' powers, one power after the other; none before the second sum. settled: both are there."""

    counts: tuple[int, ...]
    groups: tuple[int, ...]
    sums: tuple[int, ...]
    settled: bool

    @property
    def done(self) -> bool:
        return self.settled


@dataclass(frozen=True)
class Moments:
    """Exact sums of one group: n rows, s = Σ(u − m), q = Σ(u − m)², in units; m: the middle, scale: units in 1."""

    n: int
    s: int
    q: int
    middle: int
    scale: float

    @property
    def sum(self) -> float:
        """Σx."""
        return (self.s + self.n * self.middle) / self.scale

    @property
    def mean(self) -> float:
        """Σx / n."""
        return (self.s + self.n * self.middle) / self.n / self.scale

    @property
    def squares(self) -> float:
        """Σ(x − x̄)²."""
        return (self.n * self.q - self.s**2) / self.n / self.scale**2

    @property
    def variance(self) -> float | None:
        """Σ(x − x̄)² / (n − 1); None for a single row."""
        return None if self.n < 2 else self.squares / (self.n - 1)


class OfColumn(Statistic, frozen=True):
    """Base: a column of numbers, in all or in each category of `by`."""

    column: str
    by: str | None = None

    powers: ClassVar[int] = 2
    """How many powers of the values are summed."""

    def state_type(self) -> type[State]:
        return MomentsState

    def reads(self) -> tuple[str, ...]:
        return (self.column,) if self.by is None else (self.column, self.by)

    def check(self, query: Domain) -> None:
        query.number(self.column)
        query.groups(self.by)
        everything = MomentsState((), tuple(range(cells(query, self.by) - 1)), (), False)
        self._spans(everything, query).check()

    def begin(self, query: Domain) -> State:
        return MomentsState((), (), (), False)

    def check_state(self, state: MomentsState, query: Domain) -> None:
        if not state.counts and not state.groups:
            return
        if len(state.counts) != cells(query, self.by) or min(state.counts) < 0:
            raise refuse_state(self, "holds no counts of the cells")
        if state.groups != shown_groups(state.counts, query.minimum_cell):
            raise refuse_state(self, "asks for the values of other groups than the counts allow")

    def spans(self, state: MomentsState, query: Domain) -> Spans:
        return self._spans(state, query) if state.counts else Spans.of((cells(query, self.by), 0, query.rows))

    def _spans(self, state: MomentsState, query: Domain) -> Spans:
        half = query.number(self.column).half
        groups = len(state.groups)
        ranges = [(groups, -query.rows * half, query.rows * half), (groups, 0, query.rows * half**2)]
        return Spans.of((cells(query, self.by), 0, query.rows), *ranges[: self.powers])

    def local(self, rows: Rows, state: MomentsState, query: Domain) -> NDArray[np.int64]:
        complete = rows.complete(*self.reads())
        units = complete.units(self.column) - query.number(self.column).middle
        powers = [summed(units**power, complete, self.by, state.groups) for power in range(1, self.powers + 1)]
        return np.concatenate([counted(rows, complete, self.by, query), *powers])

    def combine(self, total: NDArray[np.int64], state: MomentsState, query: Domain) -> State:
        many = cells(query, self.by)
        counts = tuple(total[:many].tolist())
        groups = state.groups if state.counts else shown_groups(counts, query.minimum_cell)
        sums = tuple(total[many:].tolist())
        return MomentsState(counts, groups, sums, bool(state.counts) or not groups)

    def moments(self, state: MomentsState, query: Domain) -> tuple[Moments | None, ...]:
        """Return the sums of each group; None where they are not shown."""
        column = query.number(self.column)
        shown = shown_groups(state.counts, query.minimum_cell)
        found: list[Moments | None] = [None] * len(query.groups(self.by))
        for place, group in enumerate(state.groups):
            if group in shown:
                s, *squares = state.sums[place :: len(state.groups)]
                found[group] = Moments(state.counts[group], s, sum(squares), column.middle, column.scale)
        return tuple(found)
