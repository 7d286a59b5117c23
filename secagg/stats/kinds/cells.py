"""Tables of counts by group: what every statistic that has groups begins with.

Cells are the groups, in the order of their column's categories, and behind them one cell for rows in which something
that the statistic reads is missing.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from secagg.stats.domain import Domain
from secagg.stats.rows import Rows
from secagg.stats.suppression import shown


def cells(query: Domain, by: str | None) -> int:
    """Return how many cells there are."""
    return len(query.groups(by)) + 1


def counted(rows: Rows, complete: Rows, by: str | None, query: Domain) -> NDArray[np.int64]:
    """Return a site's counts. complete: the rows in which nothing is missing."""
    there = np.bincount(complete.codes(by), minlength=len(query.groups(by)))
    return np.append(there, rows.count - complete.count)


def summed(values: NDArray[np.int64], rows: Rows, by: str | None, groups: Sequence[int]) -> NDArray[np.int64]:
    """Return a site's exact sums of one integer a row, for these groups."""
    codes = rows.codes(by)
    return np.array([values[codes == group].sum() for group in groups], dtype=np.int64)


def shown_groups(counts: Sequence[int], minimum: int) -> tuple[int, ...]:
    """Return the places of the groups whose values may be summed: not too few rows, and not none."""
    table = np.array(counts, dtype=np.int64)
    may = shown(table, minimum) & (table > 0)
    return tuple(int(place) for place in np.flatnonzero(may[:-1]))


def shown_counts(counts: Sequence[int], minimum: int) -> tuple[int | None, ...]:
    """Return the counts that may be shown, None in the place of the others."""
    may = shown(np.array(counts, dtype=np.int64), minimum)
    return tuple(count if fine else None for count, fine in zip(counts, may, strict=True))
