"""A site's table as a query reads it: integers by column, and which rows are complete. It never leaves the site."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from secagg.extras import needed
from secagg.listing import listed
from secagg_protocols.errors import InputError

from .asking import refuse_unknown
from .columns import Category, Number
from .domain import Domain

if TYPE_CHECKING:
    import pandas as pd


class Table(Protocol):
    """Column name → its cells, all of one length: a dict of arrays or lists, or a pandas DataFrame."""

    def __iter__(self) -> Iterator[Any]: ...

    def __getitem__(self, name: Any, /) -> Any: ...


@dataclass(frozen=True, eq=False)
class Rows:
    """count: rows. columns: their public bounds. integers: units of numbers (missing: 0), codes of categories (−1).

    whole: which rows miss no column that the query reads. beyond: column → how many values were clipped, or were none
    of the categories. For the site alone.
    """

    count: int
    columns: Mapping[str, Number | Category]
    integers: Mapping[str, NDArray[np.int64]] = field(repr=False)
    whole: NDArray[np.bool_] = field(repr=False)
    beyond: Mapping[str, int] = field(repr=False)

    @classmethod
    def of(cls, table: Table, query: Domain) -> Rows:
        """Read a table. Raises: InputError, one line for the site alone, for one that does not fit the query."""
        names = list(table)
        if missing := [name for name in query.columns if name not in names]:
            raise InputError(
                f"the table has no column {listed(missing)}, which the query reads; it has {listed(names)}"
            )
        count = _length(table)
        if count > query.rows:
            raise InputError(f"the table has {count} rows, and the query is made for {query.rows} at most")
        read = {name: column.read(name, _cells(table[name])) for name, column in query.columns.items()}
        return cls(
            count,
            query.columns,
            {name: integers for name, (integers, _, _) in read.items()},
            np.logical_and.reduce([np.ones(count, dtype=bool), *(there for _, there, _ in read.values())]),
            {name: beyond for name, (_, _, beyond) in read.items() if beyond},
        )

    def complete(self) -> Rows:
        """Return the rows that all statistics of the query are of.

        Were each of those that its own columns are there in, the difference of two would be the few rows between.
        """
        integers = {name: values[self.whole] for name, values in self.integers.items()}
        return replace(self, count=int(self.whole.sum()), integers=integers, whole=self.whole[self.whole])

    def units(self, name: str) -> NDArray[np.int64]:
        """Return a column of numbers in units, within its bounds."""
        assert isinstance(self.columns[name], Number)
        return self.integers[name]

    def codes(self, name: str | None) -> NDArray[np.int64]:
        """Return the place of each row's category in the list; all 0 where there is no column."""
        return np.zeros(self.count, dtype=np.int64) if name is None else self.integers[name]

    def numbers(self, name: str) -> NDArray[np.float64]:
        """Return a column of numbers as they count: clipped, and with the query's decimals."""
        column = self.columns[name]
        assert isinstance(column, Number)
        return self.integers[name] / column.scale


def _length(table: Table) -> int:
    """Return how many rows there are. A DataFrame may have some without any column."""
    if hasattr(table, "index"):
        return len(table.index)
    lengths = {len(table[name]) for name in table}
    if len(lengths) != 1:
        raise InputError(f"the table has columns of different lengths, or none: {listed(sorted(lengths))}")
    return lengths.pop()


def _cells(column: Any) -> Any:
    """Return a column's cells; what pandas has as missing is None, whatever its type of missing."""
    return column.to_numpy(dtype=object, na_value=None) if hasattr(column, "to_numpy") else column


@dataclass(frozen=True)
class CsvFile:
    """A site's table as a CSV file, and how it is written: as `secagg train` reads one.

    Raises, when it is read: InputError, one line that names the file, the column, a cell, its line and what helps.
    """

    path: Path | str
    separator: str | None = None
    decimal: str = "."
    missing: tuple[str, ...] = ()

    def texts(self) -> Any:
        """Return all cells, as `secagg.train.table` has texts."""
        with needed("stats"):
            from secagg.train.table.reading import read_tables

        return read_tables((str(self.path),), self.separator, self.missing)

    def read(self, query: Domain) -> pd.DataFrame:
        """Return the columns of a query."""
        return in_columns(self.texts(), query, self.decimal)


def read_csv(
    file: Path | str, query: Domain, *, separator: str | None = None, decimal: str = ".", missing: tuple[str, ...] = ()
) -> pd.DataFrame:
    """Read the columns of a query from a site's CSV file. Raises what `CsvFile` raises."""
    return CsvFile(file, separator, decimal, missing).read(query)


def in_columns(table: Any, query: Domain, decimal: str) -> pd.DataFrame:
    """Return the query's columns of a table of texts (`secagg.train.table`): float64, or texts with None.

    Raises: InputError.
    """
    with needed("stats"):
        import pandas as pd

        from secagg.train.schema import Categorical, Numeric
        from secagg.train.table.columns import read_columns

    refuse_unknown(query.columns, table)
    read = replace(table, cells=table.cells[list(query.columns)])
    known = {
        name: Numeric(column.low, column.high) if isinstance(column, Number) else Categorical(column.values)
        for name, column in query.columns.items()
    }
    return pd.DataFrame(read_columns(read, decimal, known, asked=True), index=range(len(read.cells)))
