"""A first schema, from a table: for people to correct, since it is computed from rows."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from secagg.train.schema import Column, Numeric, from_rows
from secagg_protocols.errors import InputError

from .columns import read_columns
from .names import quoted
from .reading import Table
from .review import numbered_rows

REVIEW = (
    "These ranges and categories were computed from the rows, so they tell about them: review each one, and put in "
    "what all sites agree on as possible, before anyone trains with it."
)


@dataclass(frozen=True)
class Draft:
    """entries: what the file is to hold, by column; warnings: what a person must do before it is used."""

    entries: Mapping[str, list[Any]]
    warnings: tuple[str, ...]


def draft_schema(table: Table, decimal: str, ignore: tuple[str, ...]) -> Draft:
    """Propose constants for each column that varies. Raises: InputError, with every column that cannot be read."""
    values = read_columns(table.without(ignore), decimal, {})
    columns = {name: _proposed(name, values[name]) for name in values}
    kept = {name: column for name, column in columns.items() if column is not None}
    constant = [name for name in columns if name not in kept]
    if not kept:
        raise InputError(f"{table.name} has no column that varies; bring at least one")
    left_out = [f"{len(constant)} column(s) that never vary are not in it ({quoted(constant)})."] if constant else []
    return Draft(
        entries={name: column.listed for name, column in kept.items()},
        warnings=(REVIEW, *left_out, *numbered_rows({name: values[name] for name in kept}, None)),
    )


def _proposed(name: str, values: pd.Series) -> Column | None:
    """Return a column's categories, or its range rounded outwards to two digits of its width."""
    try:
        column = from_rows(values)
        return range_of(values) if isinstance(column, Numeric) else column
    except InputError as error:
        raise InputError(f"column {name!r}: {error}") from error


def range_of(values: pd.Series) -> Numeric:
    """Return the range of some numbers, rounded outwards to two digits of its width."""
    column = Numeric(float(values.min()), float(values.max()))
    digits = 1 - math.floor(math.log10(column.high - column.low))
    step = 10.0**-digits
    low = math.floor(column.low / step)
    high = math.ceil(column.high / step)
    return Numeric(round(low * step, digits), round(high * step, digits))
