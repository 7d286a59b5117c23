"""Groups of rows: how many rows each has, which of them may be shown, and exact sums over each."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from secagg.stats.domain import Domain
from secagg.stats.rows import Rows
from secagg.stats.suppression import Axis, shown


def counted(rows: Rows, complete: Rows, by: str | None, query: Domain) -> NDArray[np.int64]:
    """Return a site's rows by group, and behind them those that are not complete: where something is missing."""
    there = np.bincount(complete.codes(by), minlength=len(query.groups(by)))
    return np.append(there, rows.count - complete.count)


def summed(values: NDArray[np.int64], rows: Rows, by: str | None, groups: Sequence[int]) -> NDArray[np.int64]:
    """Return a site's exact sums of one integer a row, for these groups."""
    codes = rows.codes(by)
    return np.array([values[codes == group].sum() for group in groups], dtype=np.int64)


def shown_groups(counts: Sequence[int], minimum: int) -> tuple[int, ...]:
    """Return the places of the groups whose values may be summed: those that may be shown and have rows."""
    table = np.array(counts, dtype=np.int64)
    return tuple(np.flatnonzero(shown(table, minimum) & (table > 0)).tolist())


def shown_counts(counts: Sequence[int], minimum: int) -> tuple[int | None, ...]:
    """Return the counts that may be shown, None in the place of the others."""
    may = shown(np.array(counts, dtype=np.int64), minimum)
    return tuple(count if fine else None for count, fine in zip(counts, may, strict=True))


def shown_missing(counts: Sequence[int], minimum: int) -> int | None:
    """Return how many rows were left out, the last of the counts; None where they, or all others, are too few.

    How many rows there are may be known from another statistic, so that the one count tells the other.
    """
    *there, missing = counts
    return missing if missing == 0 or min(missing, sum(there)) >= minimum else None


def missing_note(missing: int | None) -> str:
    """Say how many rows were left out."""
    return f"rows left out, as a value is missing: {'too few to be shown' if missing is None else missing}"


def cut(by: str | None, query: Domain) -> tuple[tuple[Axis, ...], ...]:
    """Return the one table of counts by group; none without groups."""
    return () if by is None else (((by, query.groups(by)),),)
