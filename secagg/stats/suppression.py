"""Which cells of a table of counts may be shown, so that none below the least follows from what is shown beside it.

A cell below the least is hidden, an empty one as well. That alone is not enough: whoever knows a total, or the counts
of one column alone, subtracts. So other cells are hidden with it, until what is known leaves every hidden cell a range
of values that is no single one and reaches the least. Everything that one query may tell beside a table is taken as
known: its total, and for two columns the counts of each alone, as far as those are shown by the same rule.

Of two columns the hidden cells are all those of some rows and some columns. For such a block the range of a cell is
known: from max(0, r + c − t) to min(r, c), r and c being the hidden sum of its row and its column, t that of the block
(Fréchet). Rows whose own counts are hidden are known together only, and count as one.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from secagg_protocols.errors import ParameterError

Counts = NDArray[np.integer[Any]]
Mask = NDArray[np.bool_]


def shown(counts: Counts, minimum: int) -> Mask:
    """Return which cells may be shown of counts over one column or two. minimum: the least count; 0 hides nothing.

    It goes by the counts alone, so whoever has the sums comes to the same. What may be shown of one of two columns by
    itself is `shown` of its own counts. Where all counts together are below the least nothing may be shown, not even
    how many they are. Raises `ParameterError` for more columns.
    """
    if counts.ndim not in (1, 2):
        raise ParameterError(f"a table over {counts.ndim} columns is not suppressed: count over one column or two")
    if counts.sum() < minimum:
        return np.zeros(counts.shape, dtype=bool)
    if 1 in counts.shape or counts.ndim == 1:  # each cell is a category of the longer column
        return _shown_of_one(counts.ravel(), minimum).reshape(counts.shape)
    margins = tuple(_shown_of_one(counts.sum(axis=1 - axis), minimum) for axis in range(2))
    return _shown_of_two(counts, minimum, margins)


def _shown_of_one(counts: Counts, minimum: int) -> Mask:
    """Return what is shown of counts with a known total: at least two are hidden, and enough of them together."""
    hidden = counts < minimum
    if not hidden.any():
        return ~hidden
    for smallest in np.argsort(counts, kind="stable"):
        if hidden.sum() >= 2 and counts[hidden].sum() >= minimum:
            break
        hidden[smallest] = True
    return ~hidden


def _shown_of_two(counts: Counts, minimum: int, margins: tuple[Mask, ...]) -> Mask:
    """Return what is shown of counts whose shown margins are known: all but a block of rows and columns."""
    small = counts < minimum
    if not small.any():
        return ~small
    block = tuple(small.any(axis=1 - axis) | ~margins[axis] for axis in range(2))
    while _widened(counts, minimum, margins, block):
        pass
    return ~np.outer(*block)


def _widened(counts: Counts, minimum: int, margins: tuple[Mask, ...], block: tuple[Mask, ...]) -> bool:
    """Add a row or a column to a block that tells too much; return whether there was need. It ends at the latest with
    the whole table: a margin that is shown reaches the least, and so do those together that are not."""
    for table, shown_alone, chosen, across in (
        (counts, margins[0], block[0], block[1]),
        (counts.T, margins[1], block[1], block[0]),
    ):
        hidden_sums = table[:, across].sum(axis=1)
        lacking = _lacking(hidden_sums, chosen, shown_alone, minimum)
        if lacking.any():
            _add_largest(across, table[lacking].sum(axis=0))
            return True
        if chosen.sum() < 2:
            _add_largest(chosen, hidden_sums)
            return True
    return False


def _lacking(hidden_sums: Counts, chosen: Mask, shown_alone: Mask, minimum: int) -> Mask:
    """Return the first row of a block, or those known together only, whose hidden sum is below the least."""
    together = chosen & ~shown_alone
    if together.any() and hidden_sums[together].sum() < minimum:
        return together
    poor = np.flatnonzero(chosen & shown_alone & (hidden_sums < minimum))[:1]
    lacking = np.zeros_like(chosen)
    lacking[poor] = True
    return lacking


def _add_largest(chosen: Mask, gains: Counts) -> None:
    chosen[np.argmax(np.where(chosen, -1, gains))] = True


Axis = tuple[str, Hashable]
"""A column of a table, and how it is cut into cells."""


def check_together(tables: Sequence[tuple[Axis, ...]]) -> None:
    """Raise `ParameterError` for tables of one query that tell more of each other than `shown` counts on.

    Two tables that share a column tell of each other no more than that column's own counts, as long as it is cut alike
    in both, and as no three or more columns are tied in a circle by tables of two.
    """
    cuts: dict[str, Hashable] = {}
    tied: dict[str, frozenset[str]] = {}
    for table in dict.fromkeys(tuple(sorted(table, key=lambda axis: axis[0])) for table in tables):
        for column, cut in table:
            if cuts.setdefault(column, cut) != cut:
                raise ParameterError(
                    f"column {column!r} is cut into other cells by two tables of one query, and their difference shows "
                    "cells that both hide: cut it in one way"
                )
        columns = [column for column, _ in table]
        groups = {tied.get(column, frozenset({column})) for column in columns}
        if len(groups) < len(columns):
            raise ParameterError(
                f"the tables of one query tie {' and '.join(map(repr, columns))} together twice, so that together they "
                "tell more than each alone: leave one of them out"
            )
        whole = frozenset[str]().union(*groups)
        tied |= dict.fromkeys(whole, whole)
