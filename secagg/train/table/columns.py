"""What a column holds: numbers or categories. What looks like numbers and is not quite is refused, never guessed.

A measured column in which one cell is '.' would otherwise become one feature for each value that it has.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

import numpy as np
import pandas as pd

from secagg.train.schema import MAX_CATEGORIES, Categorical, Column, Numeric
from secagg_protocols.errors import InputError

from .names import cut, few, options
from .reading import Table

LEAST_ROWS = 10
"""In a table of fewer rows, values that are all different say nothing about what they are."""

LEAST_MEASURED = 4
"""So many different numbers of one unit, or behind a sign like <, are measurements; fewer may be categories."""

OTHER_SIGN = {ord("."): ",", ord(","): "."}
"""Makes numbers of one decimal sign numbers of the other."""

NUMBER = r"[-+]?[\d.,]*\d"
SIGNED = rf"[<>≤≥~≈$€£]=?\s*{NUMBER}"
WITH_UNIT = rf"{NUMBER}\s*([^\d\s.,:/-]\D*)"
GROUPED = r"[-+]?[1-9]\d{0,2}([.,'\s]\d{3})+([.,]\d+)?"
DATE = r"\d{1,4}([-/.])\d{1,2}\1\d{1,4}([ T].*)?"


class Reason(Enum):
    """Why a column is refused, and what helps; {cells} and {columns} become the options to type."""

    DECIMAL = "numbers with the other decimal sign: give --decimal {sign}"
    GROUPED = (
        "numbers whose digits are grouped, or that have the other decimal sign: write thousands without a sign between "
        "them, or give --decimal {sign}"
    )
    NO_NUMBER = (
        "no number, as most others of the column are: correct the cells, say that they are missing ({cells}), "
        "or list the column's categories in a schema (--schema)"
    )
    MEASURED = (
        "numbers with a sign or a unit: leave the number alone in its cell, or list the column's categories in a "
        "schema (--schema)"
    )
    DATE = "dates: turn them into numbers such as an age, or leave the columns out{columns}"
    TEXT = (
        f"texts, another in each row or more than {MAX_CATEGORIES}: leave the columns out{{columns}}, or list "
        f"up to {MAX_CATEGORIES} categories in a schema (--schema)"
    )
    NOT_IN_RANGE = (
        "no number, and the column has a range: correct one of the two, or say that the cells are missing ({cells})"
    )
    INFINITE = "infinite numbers: correct the cells, or leave them empty"


@dataclass(frozen=True)
class Doubt:
    """A column that is refused, with the rows whose cells are the reason."""

    reason: Reason
    name: str
    rows: list[int]


def read_columns(
    table: Table, decimal: str, known: Mapping[str, Column], *, asked: bool = False
) -> dict[str, pd.Series]:
    """Return each column as float64 with NaN, or as texts with None, where a cell is missing.

    known: what a schema says of columns; categories are taken as they stand. asked: columns were asked for by name,
    and --ignore leaves none of them out.
    Raises: InputError, one line with every column that cannot be read, a cell of it, its line and what helps.
    """
    read: dict[str, pd.Series] = {}
    doubts = []
    for name in table.cells.columns:
        column = _read(name, table.cells[name], decimal, known.get(name))
        if isinstance(column, Doubt):
            doubts.append(column)
        else:
            read[name] = column
    if doubts:
        sign = OTHER_SIGN[ord(decimal)]
        said = ((reason, [doubt for doubt in doubts if doubt.reason is reason]) for reason in Reason)
        raise InputError("; ".join(_said(table, reason, mine, sign, asked) for reason, mine in said if mine))
    return read


def in_points(cells: pd.Series, decimal: str) -> pd.Series:
    """Return the texts with a point before their decimals, whatever they were written with."""
    return cells if decimal == "." else cells.str.translate(OTHER_SIGN)


def _read(name: str, cells: pd.Series, decimal: str, known: Column | None) -> pd.Series | Doubt:
    if isinstance(known, Categorical):
        return cells
    written = in_points(cells, decimal)
    try:
        numbers = written.to_numpy().astype(np.float64)
    except ValueError:
        return _in_doubt(name, cells, written, known) or cells
    infinite = np.flatnonzero(np.isinf(numbers)).tolist()
    return Doubt(Reason.INFINITE, name, infinite) if infinite else pd.Series(numbers)


def _in_doubt(name: str, cells: pd.Series, written: pd.Series, known: Column | None) -> Doubt | None:
    """Return why a column with cells that are no numbers is no column of categories either; None if it is one."""
    distinct = pd.Series(written.dropna().unique())
    number = _is_number(distinct)
    other_sign = ~number & _is_number(distinct.str.translate(OTHER_SIGN))
    grouped = ~number & distinct.str.fullmatch(GROUPED)
    measured = ~number & ~other_sign & _measured(distinct)
    date = distinct.str.fullmatch(DATE)
    texts = ~number
    if date.mean() >= 1 / 2:
        reason = Reason.DATE
    elif grouped.any() and not (other_sign & ~grouped).any() and (number | grouped).mean() >= 1 / 2:
        reason, texts = Reason.GROUPED, grouped
    elif other_sign.any() and (number | other_sign).mean() >= 1 / 2:
        reason, texts = Reason.DECIMAL, other_sign
    elif isinstance(known, Numeric):
        reason = Reason.NOT_IN_RANGE
    elif number.any() and (number | measured).mean() >= 1 / 2:
        reason = Reason.NO_NUMBER
    elif measured.mean() >= 1 / 2 and measured.sum() >= LEAST_MEASURED:
        reason = Reason.MEASURED
    elif len(distinct) > MAX_CATEGORIES or len(distinct) == len(cells) >= LEAST_ROWS:
        reason = Reason.TEXT
    else:
        return None
    return Doubt(reason, name, np.flatnonzero(written.isin(distinct[texts])).tolist())


def _is_number(texts: pd.Series) -> pd.Series:
    return pd.to_numeric(texts, errors="coerce").notna()


def _measured(texts: pd.Series) -> pd.Series:
    """Tell which texts are numbers behind a sign like <, or before the unit that most of the texts have."""
    units = texts.str.extract(WITH_UNIT, expand=False).where(texts.str.fullmatch(WITH_UNIT))
    counts = units.str.strip().value_counts()
    common = counts.index[0] if len(counts) and counts.iloc[0] > len(texts) / 2 else None
    return texts.str.fullmatch(SIGNED) | (units.str.strip() == common)


def _said(table: Table, reason: Reason, mine: list[Doubt], sign: str, asked: bool) -> str:
    """Return one sentence on all columns that are refused for one reason."""
    shown = few([f"{cut(doubt.name)} ({cut(_cell(table, doubt))}, {table.where(doubt.rows)})" for doubt in mine])
    cells = {cell: None for doubt in mine for cell in table.cells[doubt.name].iloc[doubt.rows].unique()}
    return f"{shown} {'hold' if len(mine) > 1 else 'holds'} " + reason.value.format(
        cells=options("--missing", list(cells)),
        columns="" if asked else f" ({options('--ignore', [doubt.name for doubt in mine])})",
        sign=sign,
    )


def _cell(table: Table, doubt: Doubt) -> str:
    return str(table.cells[doubt.name].iloc[doubt.rows[0]])
