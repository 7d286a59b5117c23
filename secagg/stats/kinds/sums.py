"""Statistics that are sums of a few integers a row, by group: what they have in common.

Counts go first. The sums of the groups that may be shown follow, with the counts of the same survivors.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from secagg.stats.domain import Domain
from secagg.stats.rows import Rows
from secagg.stats.spans import Spans
from secagg.stats.statistic import State, Statistic, refuse_state
from secagg_protocols.core.wire import MAX_PARTICIPANTS
from secagg_protocols.errors import ProtocolViolation

from .cells import counted, shown_groups, summed


class SumsState(State, frozen=True):
    """counts: by group, and behind them the rows in which something is missing; none before the first sum.

    groups: places of the groups whose values are summed. sums: of the first quantity by group, then of the next; none
    before the second sum. settled: no further sum is needed.
    """

    counts: tuple[int, ...]
    groups: tuple[int, ...]
    sums: tuple[int, ...]
    settled: bool

    @property
    def done(self) -> bool:
        return self.settled


class OfSums(Statistic, frozen=True):
    """Base: each row has the integers `quantities`, in the ranges `ranges`."""

    @property
    def grouped_by(self) -> str | None:
        """The column of groups; None where all rows are one."""
        raise NotImplementedError

    def quantities(self, rows: Rows, query: Domain) -> list[NDArray[np.int64]]:
        """Return the integers of each row."""
        raise NotImplementedError

    def ranges(self, query: Domain) -> Sequence[tuple[int, int]]:
        """Return the lowest and the highest value of each quantity in one row."""
        raise NotImplementedError

    def state_type(self) -> type[State]:
        return SumsState

    def begin(self, query: Domain) -> State:
        return SumsState((), (), (), False)

    def check(self, query: Domain) -> None:
        groups = tuple(range(len(query.groups(self.grouped_by))))
        self._spans(groups, query).check()

    def check_state(self, state: SumsState, query: Domain) -> None:
        if not state.counts and not state.groups:
            return
        most = query.rows * MAX_PARTICIPANTS
        if len(state.counts) != len(query.groups(self.grouped_by)) + 1 or not all(
            0 <= count <= most for count in state.counts
        ):
            raise refuse_state(self, "holds no counts of the groups")
        if state.groups != shown_groups(state.counts[:-1], query.minimum_cell):
            raise refuse_state(self, "asks for the values of other groups than the counts allow")

    def spans(self, state: SumsState, query: Domain) -> Spans:
        return self._spans(state.groups, query)

    def _spans(self, groups: Sequence[int], query: Domain) -> Spans:
        counts = (len(query.groups(self.grouped_by)) + 1, 0, query.rows)
        sums = [(len(groups), query.rows * low, query.rows * high) for low, high in self.ranges(query)]
        return Spans.of(counts, *sums)

    def local(self, rows: Rows, state: SumsState, query: Domain) -> NDArray[np.int64]:
        by = self.grouped_by
        complete = rows.complete()
        counts = counted(rows, complete, by, query)
        if not state.groups:
            return counts
        sums = [summed(values, complete, by, state.groups) for values in self.quantities(complete, query)]
        return np.concatenate([counts, *sums])

    def combine(self, total: NDArray[np.int64], state: SumsState, query: Domain) -> State:
        many = len(query.groups(self.grouped_by)) + 1
        counts = tuple(total[:many].tolist())
        if state.counts:
            summed = SumsState(counts, state.groups, tuple(total[many:].tolist()), True)
            if not all(self.are_of_rows(*found, query) for found in self._by_group(summed)):
                raise ProtocolViolation(
                    f"the sums of {self.__struct_config__.tag} are those of no rows: a site has added what it cannot "
                    "have"
                )
            return summed
        groups = shown_groups(counts[:-1], query.minimum_cell)
        return SumsState(counts, groups, (), not groups)

    def are_of_rows(self, n: int, sums: Sequence[int], query: Domain) -> bool:
        """Whether n rows of a group can have these sums."""
        return all(n * low <= one <= n * high for one, (low, high) in zip(sums, self.ranges(query), strict=True))

    def _by_group(self, state: SumsState) -> list[tuple[int, tuple[int, ...]]]:
        """Return the rows and the sums of each group that was asked for."""
        many = len(state.groups)
        return [(state.counts[group], state.sums[place::many]) for place, group in enumerate(state.groups)]

    def sums_of(self, state: SumsState, query: Domain) -> list[tuple[int, list[int]] | None]:
        """Return (rows, sum of each quantity) of each group; None where it is not shown, or has no row."""
        shown = shown_groups(state.counts[:-1], query.minimum_cell)
        found: list[tuple[int, list[int]] | None] = [None] * len(query.groups(self.grouped_by))
        for group, (n, sums) in zip(state.groups, self._by_group(state), strict=True):
            if group in shown:
                found[group] = n, list(sums)
        return found
