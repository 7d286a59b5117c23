"""What `secagg train` needs to know of columns beforehand, from secure sums instead of from anybody's rows.

A schema of one range for each column of numbers, one list for each column of categories:

    number     [x̄ − 4·s, x̄ + 4·s] where the query has its mean, within the query's bounds; else those bounds
    category   those with so many rows that their count is shown; else all that the query lists

Training scales a range to [−1, 1], so a column comes out with mean 0 and a standard deviation of a quarter.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from .columns import Number
from .kinds.count import CountResult
from .kinds.crosstab import CrosstabResult
from .kinds.means import MeanResult
from .query import Query
from .results import Result

SPREAD = 4
"""Standard deviations on each side of the mean."""


def schema_of(query: Query, results: Iterable[Result]) -> dict[str, list[Any]]:
    """Return the entries of a schema file. A column of categories of which none may be shown is left out."""
    held = list(results)
    ranges = dict(entry for result in held for entry in _ranges(query, result))
    lists = dict(entry for result in held for entry in _lists(result))
    entries: dict[str, list[Any]] = {}
    for name, column in query.columns.items():
        if isinstance(column, Number):
            entries[name] = ranges.get(name, [column.low, column.high])
        elif listed := lists.get(name, list(column.values)):
            entries[name] = listed
    return entries


def _ranges(query: Query, result: Result) -> Iterable[tuple[str, list[float]]]:
    if not isinstance(result, MeanResult) or result.by is not None:
        return
    (row,) = result.rows
    column = query.number(result.column)
    if row.mean is not None and row.deviation:
        reach = SPREAD * row.deviation
        ends = max(column.low, row.mean - reach), min(column.high, row.mean + reach)
        yield result.column, [round(end, result.decimals + 1) for end in ends]


def _lists(result: Result) -> Iterable[tuple[str, list[str]]]:
    alone: Mapping[str, Iterable[tuple[str, int | None]]] = {}
    if isinstance(result, CountResult) and result.by is not None:
        alone = {result.by: zip(result.groups, result.counts, strict=True)}
    elif isinstance(result, CrosstabResult):
        alone = {
            result.row: zip(result.row_groups, result.rows, strict=True),
            result.column: zip(result.column_groups, result.columns, strict=True),
        }
    for name, counts in alone.items():
        yield name, [group for group, count in counts if count]
