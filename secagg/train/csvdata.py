"""Tables that people bring: CSV files with a header row become a `Dataset`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from secagg_protocols.errors import InputError

from .data import Data, Dataset
from .schema import Column, from_rows, read_schema
from .table.columns import read_columns
from .table.encoding import encode
from .table.names import few, nearest, quoted
from .table.outcome import labels_of
from .table.reading import Table, read_tables
from .table.review import computed_from_rows, missing_cells, numbered_rows, spelled_apart, turned_away


def load_csv(asked: Data) -> Dataset:
    """Read CSV files: numbers are scaled to [-1, 1], texts one-hot encoded, columns that never vary left out.

    Raises: InputError, one line with all that is wrong: column, line, cell and what to do.
    """
    target = asked.target
    assert target is not None  # Data refuses a CSV file without one
    table = read_tables(asked.csv, asked.separator, asked.missing)
    features = table.without((target, asked.site_column, asked.patient_column, *asked.ignore))
    known = read_schema(asked.schema) if asked.schema else {}
    wrong: list[str] = []
    with _heard(wrong):
        y, classes = labels_of(table, target, asked.positive, asked.decimal)
    with _heard(wrong):
        sites = _sites(table, asked.site_column)
    with _heard(wrong):
        patients = _patients(table, asked.patient_column)
    with _heard(wrong):
        _refuse_unknown(known, table)
        values = read_columns(features, asked.decimal, known)
        beyond = turned_away(values, known)
    if wrong:
        raise InputError("; also, ".join(wrong))
    columns = {name: known.get(name) or _from_rows(name, values[name]) for name in values}
    used = {name: column for name, column in columns.items() if column is not None}
    if not used:
        raise InputError(f"{table.name} has no feature column that varies besides {target!r}; bring at least one")
    guessed = {name: values[name] for name in used if name not in known}
    institutions = {} if asked.site_column is None else {asked.site_column: table.cells[asked.site_column]}
    return Dataset(
        name=table.name,
        x=encode(pd.DataFrame(values), used),
        y=y,
        features=tuple(feature for name, column in used.items() for feature in column.features(name)),
        classes=classes,
        sites=sites,
        patients=patients,
        columns=used,
        notes=(*_left_out(columns), *missing_cells({name: values[name] for name in used}), *_whose(patients, table)),
        warnings=(
            *beyond,
            *spelled_apart(institutions | guessed),
            *numbered_rows(guessed, table.sites),
            *computed_from_rows(list(guessed)),
        ),
    )


@contextmanager
def _heard(wrong: list[str]) -> Iterator[None]:
    """Add what is refused to the list, so that one try tells everything."""
    try:
        yield
    except InputError as error:
        wrong.append(str(error))


def _refuse_unknown(known: Mapping[str, Column], table: Table) -> None:
    """Refuse a schema of columns that the table has not, instead of leaving them out in silence."""
    names = table.cells.columns
    if unknown := [f"{name!r}{nearest(name, names)}" for name in known if name not in names]:
        raise InputError(f"the schema names {few(unknown)}, no column of {table.name}; correct or remove it")


def _sites(table: Table, column: str | None) -> tuple[str, ...] | None:
    """Return the site of each row. Raises: InputError, with every row that names none and every site of one row."""
    if column is None:
        return table.sites
    cells = table.cells[column]
    wrong = []
    if absent := np.flatnonzero(cells.isna()).tolist():
        wrong.append(f"missing in {len(absent)} row(s) ({table.where(absent)}): name the site or remove the row")
    if alone := np.flatnonzero(cells.notna() & ~cells.duplicated(keep=False)).tolist():
        wrong.append(
            f"the only row of {len(alone)} site(s) ({quoted(cells.iloc[alone])}; {table.where(alone)}), where one to "
            "train and one to test on are needed: merge them with others or remove the rows"
        )
    if wrong:
        raise InputError(f"site column {column!r} is {' and '.join(wrong)}")
    return tuple(cells)


def _patients(table: Table, column: str | None) -> NDArray[np.int64] | None:
    """Number the patients. Raises: InputError, with every row that does not say whose it is."""
    if column is None:
        return None
    cells = table.cells[column]
    if absent := np.flatnonzero(cells.isna()).tolist():
        raise InputError(
            f"patient column {column!r} is missing in {len(absent)} row(s) ({table.where(absent)}); "
            "say whose they are or remove them"
        )
    return pd.factorize(cells)[0]


def _from_rows(name: str, values: pd.Series) -> Column | None:
    try:
        return from_rows(values)
    except InputError as error:
        raise InputError(f"column {name!r}: {error}") from error


def _left_out(columns: Mapping[str, Column | None]) -> list[str]:
    constant = [name for name, column in columns.items() if column is None]
    return [f"{len(constant)} column(s) that never vary were left out ({quoted(constant)})."] if constant else []


def _whose(patients: NDArray[np.int64] | None, table: Table) -> list[str]:
    """Say how many patients there are, and how many rows of each."""
    if patients is None:
        return []
    rows = np.bincount(patients)
    return [
        f"The {len(patients)} rows are of {len(rows)} patients; one has {rows.mean():.1f} rows on average, and "
        f"{rows.max()} at most. All rows of a patient are trained on, or all are tested on."
        + (" Whoever has the same id in two files counts as one patient." if table.sites is not None else "")
    ]
