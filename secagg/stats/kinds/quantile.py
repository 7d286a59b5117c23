"""Quantiles to a stated bin: counts over few bins, then over the bins of the bin that holds the quantile, and so on.

The quantile of p is the smallest value x with F(x) ≥ p: the one of rank ⌈p·n⌉. The range is a tree of bins, sixteen in
each. A bracket is one bin of it; each sum counts the rows below it, in its sixteen bins, and above. So each sum tells
the rank by itself, whoever survived it. A bracket with fewer rows than the least cell is never asked about.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from fractions import Fraction

import msgspec
import numpy as np
from numpy.typing import NDArray

from secagg.stats.columns import Number
from secagg.stats.domain import Domain
from secagg.stats.results import Result, Shown
from secagg.stats.rows import Rows
from secagg.stats.spans import Spans
from secagg.stats.statistic import State, Statistic, refuse_state
from secagg_protocols.errors import ParameterError

from .cells import missing_note, shown_missing

BRANCHES = 16
MOST_DEPTH = 12
MOST_PROBABILITIES = 32
USUAL_DEPTH = 2
"""256 bins, where no width is stated."""

Bin = tuple[int, int]
"""Depth in the tree, and place among the bins of that depth."""
ROOT = (0, 0)


class QuantileState(State, frozen=True):
    """asked: by probability, the bracket to count in. found: by probability, the bin that holds the quantile; none
    before it is known. n, missing: rows of the last sum."""

    asked: tuple[Bin, ...]
    found: tuple[Bin | None, ...]
    n: int
    missing: int

    @property
    def done(self) -> bool:
        return all(self.found)


class Bracketed(msgspec.Struct, frozen=True):
    """The quantile of `probability` is between low and high, both included; None where nothing may be shown."""

    probability: float
    low: float | None
    high: float | None


class QuantileResult(Result, frozen=True, tag="quantile"):
    """within: the width of the finest bin. quantiles: by probability; wider where rows are too few for a finer bin."""

    column: str
    decimals: int
    within: float
    n: int | None
    missing: int | None
    quantiles: tuple[Bracketed, ...]

    def tables(self) -> Iterable[Shown]:
        rows = tuple((one.probability, one.low, one.high) for one in self.quantiles)
        yield Shown(f"quantiles of {self.column}", ("p", "from", "to"), rows, (missing_note(self.missing),))


class Quantile(Statistic, frozen=True, tag="quantile"):
    """Quantiles of a column of numbers. within: how wide the finest bin may be; by default 1/256 of the range."""

    column: str
    probabilities: tuple[float, ...] = (0.25, 0.5, 0.75)
    within: float | None = None

    def state_type(self) -> type[State]:
        return QuantileState

    def reads(self) -> tuple[str, ...]:
        return (self.column,)

    def check(self, query: Domain) -> None:
        column = query.number(self.column)
        if not 1 <= len(self.probabilities) <= MOST_PROBABILITIES or list(self.probabilities) != sorted(
            set(self.probabilities)
        ):
            raise ParameterError(f"quantiles of {self.column!r}: give 1 to {MOST_PROBABILITIES}, ascending")
        if not all(0 < p < 1 for p in self.probabilities):
            raise ParameterError(f"quantiles of {self.column!r} are not all between 0 and 1")
        if self.within is not None and not 1 / column.scale <= self.within < column.high - column.low:
            raise ParameterError(
                f"within={self.within} of {self.column!r} is finer than its {column.decimals} decimals or wider than "
                "its range: give another"
            )

    def widths(self, query: Domain) -> dict[str, float]:
        column = query.number(self.column)
        return {self.column: (column.high - column.low) / BRANCHES ** self.depth(query)}

    def depth(self, query: Domain) -> int:
        """Return the depth of the finest bins."""
        if self.within is None:
            return USUAL_DEPTH
        column = query.number(self.column)
        return min(MOST_DEPTH, math.ceil(math.log((column.high - column.low) / self.within, BRANCHES)))

    def begin(self, query: Domain) -> State:
        many = len(self.probabilities)
        return QuantileState((ROOT,) * many, (None,) * many, 0, 0)

    def check_state(self, state: QuantileState, query: Domain) -> None:
        deepest = self.depth(query)
        many = len(self.probabilities)
        if not len(state.asked) == len(state.found) == many:
            raise refuse_state(self, f"is not one of {many} quantiles")
        for depth, place in state.asked:
            if not (0 <= depth < deepest and 0 <= place < BRANCHES**depth):
                raise refuse_state(self, "asks for bins that are none of its tree, or finer than stated")

    def spans(self, state: QuantileState, query: Domain) -> Spans:
        return Spans.of((1 + len(state.asked) * (BRANCHES + 2), 0, query.rows))

    def local(self, rows: Rows, state: QuantileState, query: Domain) -> NDArray[np.int64]:
        complete = rows.complete()
        units = np.sort(complete.units(self.column))
        column = query.number(self.column)
        counts = [_counts(units, _edges(column, asked)) for asked in state.asked]
        return np.concatenate([[rows.count - complete.count], *counts])

    def combine(self, total: NDArray[np.int64], state: QuantileState, query: Domain) -> State:
        missing, *counts = total.tolist()
        width = BRANCHES + 2
        steps = [
            _next(p, asked, counts[place * width : (place + 1) * width], self.depth(query), query.minimum_cell)
            for place, (p, asked) in enumerate(zip(self.probabilities, state.asked, strict=True))
        ]
        return QuantileState(
            tuple(asked for asked, _ in steps), tuple(found for _, found in steps), sum(counts[:width]), missing
        )

    def finish(self, state: QuantileState, query: Domain) -> Result:
        column = query.number(self.column)
        least = max(1, query.minimum_cell)
        told = _told(self.probabilities, state.n, least)
        return QuantileResult(
            self.column,
            query.decimals(self.column),
            self.widths(query)[self.column],
            state.n if state.n >= least else None,
            shown_missing((state.n, state.missing), query.minimum_cell),
            tuple(
                Bracketed(p, *(_ends(column, found) if may and found else (None, None)))
                for p, may, found in zip(self.probabilities, told, state.found, strict=True)
            ),
        )


def _edge(column: Number, depth: int, place: int) -> int:
    """Return the first unit of a bin. Bins of one depth follow each other, and end above the upper bound."""
    bins: int = BRANCHES**depth
    return column.low_units + (column.high_units - column.low_units + 1) * place // bins


def _edges(column: Number, asked: Bin) -> list[int]:
    """Return the first unit of each bin in a bracket, and the one behind the last."""
    depth, place = asked
    return [_edge(column, depth + 1, place * BRANCHES + branch) for branch in range(BRANCHES + 1)]


def _counts(units: NDArray[np.int64], edges: list[int]) -> NDArray[np.int64]:
    """Return the rows below, in each bin, and above. units: sorted."""
    below = np.searchsorted(units, np.array(edges, dtype=np.int64), side="left")
    return np.diff(below, prepend=0, append=len(units))


def _next(p: float, asked: Bin, counts: list[int], deepest: int, least: int) -> tuple[Bin, Bin | None]:
    """Return the bracket to ask about next, and the bin that holds the quantile where that is settled."""
    n = sum(counts)
    if n < max(1, least):
        return asked, ROOT
    rank = _rank(p, n)
    reached = np.cumsum(counts)
    at = int(np.searchsorted(reached, rank))
    if not 1 <= at <= BRANCHES:  # others than before survived this sum, and it is elsewhere; or a site lies
        return ROOT, ROOT if asked == ROOT else None
    depth, place = asked
    child = (depth + 1, place * BRANCHES + at - 1)
    if counts[at] < least:
        return asked, asked
    return (asked, child) if child[0] == deepest else (child, None)


def _rank(p: float, n: int) -> int:
    return max(1, math.ceil(Fraction(repr(p)) * n))


def _told(probabilities: tuple[float, ...], n: int, least: int) -> list[bool]:
    """Return which quantiles may be told: so many rows are up to each from the one before, and from it on. Those of
    nearer ranks would tell where a bin with fewer rows begins and ends."""
    told = []
    before = 0
    for p in probabilities:
        rank = _rank(p, n)
        told.append(rank - before >= least and n - rank + 1 >= least)
        before = rank if told[-1] else before
    return told


def _ends(column: Number, found: Bin) -> tuple[float, float]:
    """Return the lowest and the highest value of a bin."""
    depth, place = found
    return _edge(column, depth, place) / column.scale, (_edge(column, depth, place + 1) - 1) / column.scale
