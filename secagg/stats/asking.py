"""The public bounds of a query's columns, from wherever they were said: the asking side alone does this.

What was said with a statistic comes first, then the schema file. What nobody said is computed from the rows of a
simulation, with a warning, as `secagg train` does: a real query lists it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from secagg.extras import needed
from secagg_protocols.errors import InputError, ParameterError

from .columns import Category, Number

if TYPE_CHECKING:
    import pandas as pd

    from secagg.train.schema import Column as SchemaColumn
    from secagg.train.table.reading import Table


@dataclass
class Said:
    """What was said of columns while statistics were named: numbers with their bounds or without, and categories."""

    numbers: dict[str, Number | None] = field(default_factory=dict)
    categories: dict[str, Category | None] = field(default_factory=dict)

    def column(self, name: str, bounds: Number | Category) -> None:
        """Note a column with its bounds. Raises `ParameterError` where it was said to be another."""
        if isinstance(bounds, Number):
            self.number(name, bounds)
        else:
            self.category(name, bounds)

    @property
    def columns(self) -> dict[str, Number | Category]:
        """Those that have bounds."""
        noted = (self.numbers | self.categories).items()
        return {name: bounds for name, bounds in noted if bounds is not None}

    def number(self, name: str, bounds: Number | None = None) -> None:
        """Note a column of numbers. Raises `ParameterError` where it was said to be another."""
        if name in self.categories:
            raise ParameterError(f"column {name!r} is asked for as numbers and as categories: choose one of the two")
        known = self.numbers.setdefault(name, bounds)
        if bounds is None or known == bounds:
            return
        if known is not None:
            raise ParameterError(f"column {name!r} is given two different ranges: give one")
        self.numbers[name] = bounds

    def category(self, name: str, values: Category | None = None) -> None:
        """Note a column of categories. Raises `ParameterError` where it was said to be another."""
        if name in self.numbers:
            raise ParameterError(f"column {name!r} is asked for as numbers and as categories: choose one of the two")
        known = self.categories.setdefault(name, values)
        if values is not None and known not in (None, values):
            raise ParameterError(f"column {name!r} is given two different lists of categories: give one")
        self.categories[name] = known or values


@dataclass(frozen=True)
class Bounded:
    """columns: as the query has them. warnings: what was computed from rows."""

    columns: dict[str, Number | Category]
    warnings: tuple[str, ...]


def bounded(said: Said, schema: Mapping[str, SchemaColumn], table: Table | None, decimal: str = ".") -> Bounded:
    """Return every column with its bounds. table: the rows of a simulation; None: nothing may be computed from rows.

    Raises: ParameterError, InputError.
    """
    columns = said.columns
    unsaid = [name for name in said.numbers | said.categories if name not in columns]
    for name in unsaid:
        if name in schema:
            columns[name] = _of_schema(name, schema[name], name in said.categories)
    guessed = [name for name in unsaid if name not in columns]
    if guessed and table is None:
        raise ParameterError(
            f"column {guessed[0]!r} has no bounds: give a schema that has its range or its categories (--schema)"
        )
    if table is not None and guessed:
        columns |= _from_rows(guessed, said, table, decimal)
    return Bounded(columns, tuple(_warned(guessed)) if guessed else ())


def _of_schema(name: str, column: SchemaColumn, category: bool) -> Number | Category:
    with needed("stats"):
        from secagg.train.schema import Numeric
    if isinstance(column, Numeric):
        if category:
            raise ParameterError(
                f"the schema has a range for {name!r}, and categories are needed: list them there as texts, "
                'such as ["0", "1"]'
            )
        return Number(column.low, column.high)
    if not category:
        raise ParameterError(f"the schema has categories for {name!r}, and numbers are needed: give a range there")
    return Category(column.categories)


def _from_rows(names: list[str], said: Said, table: Table, decimal: str) -> dict[str, Number | Category]:
    """Take the categories that there are, and ranges rounded outwards from the lowest and the highest value."""
    with needed("stats"):
        from secagg.train.table.columns import read_columns

    refuse_unknown(names, table)
    found: dict[str, Number | Category] = {
        name: _listed(name, table.cells[name].dropna().unique().tolist()) for name in names if name in said.categories
    }
    numbers = [name for name in names if name in said.numbers]
    for name, values in read_columns(replace(table, cells=table.cells[numbers]), decimal, {}, asked=True).items():
        found[name] = _ranged(name, values)
    return found


def refuse_unknown(names: Iterable[str], table: Table) -> None:
    """Raise `InputError` unless the table has all of these columns."""
    with needed("stats"):
        from secagg.train.table.names import few, nearest, quoted

    held = list(table.cells.columns)
    if unknown := [f"{name!r}{nearest(name, held)}" for name in names if name not in held]:
        raise InputError(f"{table.name} has no column {few(unknown)}; its columns are {quoted(held)}")


def _listed(name: str, texts: list[str]) -> Category:
    try:
        return Category(tuple(sorted(texts, key=lambda text: (_number(text), text))))
    except ParameterError as error:
        raise InputError(f"column {name!r} has {error}: list them in a schema (--schema), or ask of another") from None


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.inf


def _ranged(name: str, values: pd.Series) -> Number:
    with needed("stats"):
        from secagg.train.table.draft import range_of

    if values.dtype == object:
        raise InputError(f"column {name!r} holds texts, and numbers are needed: ask of another column")
    if not values.notna().any():
        raise InputError(f"column {name!r} is empty: ask of another column")
    if not values.min() < values.max():
        raise InputError(f"column {name!r} never varies: say its range, as in {name}:0:100")
    try:
        column = range_of(values)
    except InputError as error:
        raise InputError(f"column {name!r}: {error}") from None
    return Number(column.low, column.high)


def _warned(names: list[str]) -> list[str]:
    with needed("stats"):
        from secagg.train.table.review import computed_from_rows
    return computed_from_rows(names)
