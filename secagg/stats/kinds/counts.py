"""Statistics that are one sum of counts: what they have in common."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from secagg.stats.domain import Domain
from secagg.stats.spans import Spans
from secagg.stats.statistic import State, Statistic


class CountState(State, frozen=True):
    """counts: by cell, and behind them the rows in which something is missing; none before the sum."""

    counts: tuple[int, ...]

    @property
    def done(self) -> bool:
        return bool(self.counts)


class OfCounts(Statistic, frozen=True):
    """Base: each row is in one cell."""

    def cells(self, query: Domain) -> int:
        """Return how many cells there are."""
        raise NotImplementedError

    def state_type(self) -> type[State]:
        return CountState

    def begin(self, query: Domain) -> State:
        return CountState(())

    def check_state(self, state: CountState, query: Domain) -> None:
        """There is nothing to choose: a state with counts is done."""

    def spans(self, state: CountState, query: Domain) -> Spans:
        return Spans.of((self.cells(query) + 1, 0, query.rows))

    def combine(self, total: NDArray[np.int64], state: CountState, query: Domain) -> State:
        return CountState(tuple(total.tolist()))
