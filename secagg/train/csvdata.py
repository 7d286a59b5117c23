"""A site's own table: a CSV file with a header row becomes a `Dataset`."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from secagg_protocols.errors import InputError

from .data import Data, Dataset
from .schema import Categorical, Column, Numeric, from_rows, one_hot, read_schema, scale

MISSING = frozenset({"", "?", "na", "n/a", "nan", "null"})
"""Texts that stand for a missing value, in any case."""

Cells = dict[str, list[str | None]]
"""Column name to its cells, one per row; None is a missing one."""


def load_csv(asked: Data) -> Dataset:
    """Read a CSV file: numbers are scaled to [-1, 1], texts one-hot encoded, columns that never vary left out.

    Raises: InputError, one line that names the file, column or line and says what to do.
    """
    path = Path(asked.csv[0])
    target = asked.target
    site_column = asked.site_column
    schema = asked.schema
    ignore = asked.ignore
    assert target is not None  # Data refuses a CSV file without one
    cells = _read(path)
    for name in filter(None, (target, site_column, asked.patient_column, *ignore)):
        if name not in cells:
            raise InputError(f"{path.name} has no column {name!r}; its columns are {', '.join(cells)}")
    labels, classes = _labels(target, cells.pop(target))
    sites = _sites(site_column, cells.pop(site_column)) if site_column else None
    patients = np.unique(cells.pop(asked.patient_column), return_inverse=True)[1] if asked.patient_column else None
    for name in ignore:
        cells.pop(name, None)
    known = read_schema(schema) if schema else {}
    unknown = sorted(set(known) - set(cells))
    if unknown:
        raise InputError(f"schema names {unknown[0]!r}, no feature column of {path.name}; correct or remove it")
    blocks, features, notes, guessed, columns = _encode(cells, known)
    if not blocks:
        raise InputError(f"{path.name} has no feature column that varies besides {target!r}; bring at least one")
    warnings = [
        f"Ranges or categories of {len(guessed)} column(s) ({', '.join(guessed)}) were computed from the rows of "
        "all sites together, which a real federation could not do and no ε covers; agree on a schema file instead."
    ]
    return Dataset(
        name=path.name,
        x=np.hstack(blocks),
        y=labels,
        features=tuple(features),
        classes=classes,
        sites=sites,
        patients=patients,
        columns=columns,
        notes=tuple(notes),
        warnings=tuple(warnings) if guessed else (),
    )


def _read(path: Path) -> Cells:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputError(f"cannot read {str(path)!r}: {error.strerror}; give the path of a CSV file") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{str(path)!r} is not UTF-8 text (byte {error.start}); save it as UTF-8 CSV") from error
    if "\0" in text:
        raise InputError(f"{str(path)!r} is not a CSV file (it holds zero bytes); save it as a UTF-8 CSV file")
    heading = text.partition("\n")[0]
    delimiter = max(",;\t", key=heading.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        lines = [(reader.line_num, row) for row in reader if row]
    except csv.Error as error:
        raise InputError(f"{str(path)!r} is not a CSV file: {error}; check its quotes") from error
    if len(lines) < 2:
        raise InputError(f"{str(path)!r} has no rows; a header row and one row per record are needed")
    header = [name.strip() for name in lines[0][1]]
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice:
        raise InputError(f"{path.name} has {header.count(twice[0])} columns named {twice[0]!r}; names must differ")
    for line, row in lines[1:]:
        if len(row) != len(header):
            raise InputError(
                f"{path.name} line {line} has {len(row)} fields, the header {len(header)}; correct the line"
            )
    return {name: [_cell(row[i]) for _, row in lines[1:]] for i, name in enumerate(header)}


def _cell(text: str) -> str | None:
    text = text.strip()
    return None if text.lower() in MISSING else text


def _labels(target: str, cells: list[str | None]) -> tuple[NDArray[np.int64], tuple[str, str]]:
    """Return labels 0 and 1 and the two class names; the greater name (as a number if it is one) is class 1."""
    absent = [row for row, cell in enumerate(cells, start=1) if cell is None]
    if absent:
        raise InputError(
            f"target {target!r} is missing in {len(absent)} row(s), first in data row {absent[0]}; remove those rows"
        )
    values = {cell for cell in cells if cell is not None}
    if len(values) != 2:
        shown = ", ".join(sorted(values)[:6]) + (", …" if len(values) > 6 else "")
        raise InputError(
            f"target {target!r} has {len(values)} class(es) ({shown}); exactly two are needed: choose or derive a "
            "yes/no column"
        )
    numbers = _numbers(target, list(values))
    ordered = sorted(values) if numbers is None else sorted(values, key=float)
    return np.array([int(cell == ordered[1]) for cell in cells], dtype=np.int64), (ordered[0], ordered[1])


def _sites(name: str, cells: list[str | None]) -> tuple[str, ...]:
    for row, cell in enumerate(cells, start=1):
        if cell is None:
            raise InputError(f"site column {name!r} is missing in data row {row}; name the site or remove the row")
    return tuple(cell for cell in cells if cell is not None)


def _numbers(name: str, cells: list[str | None]) -> NDArray[np.float64] | None:
    """Return the column as float64 with NaN where missing, or None if some cell is a text."""
    try:
        numbers = np.array([np.nan if cell is None else float(cell) for cell in cells])
    except ValueError:
        return None
    if np.isinf(numbers).any():
        row = int(np.argmax(np.isinf(numbers))) + 1
        raise InputError(f"column {name!r} is infinite in data row {row}; correct the value or leave the cell empty")
    return numbers


def _encode(
    cells: Cells, known: dict[str, Column]
) -> tuple[list[NDArray[np.float64]], list[str], list[str], list[str], dict[str, Column]]:
    """Return matrix blocks, feature names, notes, the columns whose constants had to come from the rows, and all."""
    blocks: list[NDArray[np.float64]] = []
    features: list[str] = []
    notes: list[str] = []
    guessed: list[str] = []
    used: dict[str, Column] = {}
    for name, texts in cells.items():
        column = known.get(name)
        numbers = None if isinstance(column, Categorical) else _numbers(name, texts)
        if column is None:
            column = from_rows(name, texts, numbers)
            if column is None:
                notes.append(f"Column {name!r} never varies and was left out.")
                continue
            guessed.append(name)
        used[name] = column
        if isinstance(column, Numeric):
            if numbers is None:
                text = next(cell for cell in texts if cell is not None and _numbers(name, [cell]) is None)
                raise InputError(f"column {name!r} holds {text!r}, but its schema is a range; correct one of the two")
            blocks.append(scale(numbers, column)[:, None])
            features.append(name)
        else:
            blocks.append(one_hot(texts, column))
            features.extend(f"{name}={category}" for category in column.categories)
        missing = sum(text is None for text in texts)
        if missing:
            filled = "the middle of the range" if isinstance(column, Numeric) else "none of the categories"
            notes.append(f"Column {name!r}: {missing} missing value(s) count as {filled}.")
    return blocks, features, notes, guessed, used
