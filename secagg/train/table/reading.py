"""CSV files as they come: whatever separates their cells, with the line that each row stands on.

Lines are split by the standard library's reader and not by pandas', which fills up short lines in silence.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import pandas as pd

from secagg_protocols.errors import InputError, ParameterError

from .names import SHOWN_LINES, cut, few, lines, nearest, quoted, repeated

MISSING = frozenset({"", "?", "na", "n/a", "nan", "null"})
"""Cells that stand for a missing value, in any case."""

SEPARATORS = (",", ";", "\t", "|")

TABS = {"tab": "\t", r"\t": "\t"}
"""A tab as it can be typed."""

NAMELESS = "unnamed column "
"""What a column without a name is called, before its place from 1."""

SAMPLE = 100
"""So many lines are looked at to find out what separates cells."""


@dataclass(frozen=True)
class Table:
    """A table of texts, None where a cell is missing.

    name: of its file, or files; places: file and line of each row; sites: one name per row, where files are the sites.
    """

    name: str
    cells: pd.DataFrame
    places: tuple[tuple[str, int], ...]
    sites: tuple[str, ...] | None = None

    def without(self, columns: Iterable[str | None]) -> Table:
        """Return the table without these columns; None is none. Raises: InputError for one that is not there."""
        names = list(self.cells.columns)
        if len(names) == 1:
            raise InputError(
                f"{self.name} has a single column, {cut(names[0])}; if that is a whole line, say what separates its "
                "cells (--separator)"
            )
        aside = [name for name in columns if name is not None]
        if unknown := [name for name in aside if name not in names]:
            shown = few([f"{name!r}{nearest(name, names)}" for name in unknown])
            raise InputError(f"{self.name} has no column {shown}; its columns are {quoted(names)}")
        return replace(self, cells=self.cells.drop(columns=aside))

    def where(self, rows: list[int]) -> str:
        """Say on which lines of which files rows are, the first few."""
        places = [self.places[row] for row in rows]
        if len({file for file, _ in places}) == 1:
            return f"{places[0][0]} {lines([line for _, line in places])}"
        return few([f"{file} line {line}" for file, line in places], SHOWN_LINES)


def read_tables(files: tuple[str, ...], separator: str | None, missing: tuple[str, ...]) -> Table:
    """Read one file, or several that are the sites: NAME=FILE, or FILE, and its name without ending is the site's.

    separator: what stands between cells, None to find it out; missing: further cells that say nothing.
    Raises: InputError, one line that names the file and its lines, and says what to do.
    """
    empty = MISSING | {text.lower() for text in missing}
    if separator is not None and not re.fullmatch(r'[^"\r\n]|tab|\\t', separator):
        raise ParameterError(f"separator={separator!r} must be one character, or the word tab")
    separator = TABS.get(separator or "", separator)
    named = [_named(file) for file in files]
    if len(named) == 1:
        return _read(named[0][1], separator, empty)
    if twice := repeated(site for site, _ in named):
        raise InputError(f"several files are of site {quoted(twice)}; tell them apart: --csv NAME=FILE")
    tables = [_read(path, separator, empty) for _, path in named]
    for other in tables[1:]:
        _refuse_other_columns(tables[0], other)
    return Table(
        name=few([table.name for table in tables]),
        cells=pd.concat([table.cells[tables[0].cells.columns] for table in tables], ignore_index=True),
        places=tuple(place for table in tables for place in table.places),
        sites=tuple(site for (site, _), table in zip(named, tables, strict=True) for _ in table.places),
    )


def _named(text: str) -> tuple[str, Path]:
    """Split NAME=FILE, unless a file has that whole name."""
    name, equals, file = text.partition("=")
    if not equals or not file or Path(text).exists():
        return Path(text).stem, Path(text)
    return name or Path(file).stem, Path(file)


def _refuse_other_columns(first: Table, other: Table) -> None:
    lacking = [name for name in first.cells.columns if name not in other.cells.columns]
    beyond = [name for name in other.cells.columns if name not in first.cells.columns]
    found = [f"lacks {quoted(lacking)}"] if lacking else []
    found += [f"has {quoted(beyond)} beyond them"] if beyond else []
    if found:
        raise InputError(
            f"{other.name} has not the columns of {first.name}: it {' and '.join(found)}; give all files the same ones"
        )


def _read(path: Path, separator: str | None, empty: frozenset[str]) -> Table:
    text = _text(path)
    heading, _, rest = text.partition("\n")
    said = re.fullmatch(r'"?sep=(.)"?\s*', heading, re.IGNORECASE)  # as some spreadsheet programs write and read it
    separator = separator or (said[1] if said else _separator(text))
    try:
        records = list(_records(rest if said else text, separator))
    except csv.Error as error:
        raise InputError(
            f"{str(path)!r} is not a CSV file: {error}; check its quotes, or say what separates cells (--separator)"
        ) from error
    if len(records) < 2:
        raise InputError(f"{str(path)!r} has no rows; a header row and one row per record are needed")
    header = _header(path, records[0][1])
    _refuse_ragged(path, len(header), records[1:], separator)
    rows = [[None if cell.lower() in empty else cell for cell in row] for _, row in records[1:]]
    return Table(
        name=path.name,
        cells=pd.DataFrame(rows, columns=header, dtype=object),
        places=tuple((path.name, line + bool(said)) for line, _ in records[1:]),
    )


def _text(path: Path) -> str:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputError(f"cannot read {str(path)!r}: {error.strerror}; give the path of a CSV file") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{str(path)!r} is not UTF-8 text (byte {error.start}); save it as UTF-8 CSV") from error
    if "\0" in text:
        raise InputError(f"{str(path)!r} is not a CSV file (it holds zero bytes); save it as a UTF-8 CSV file")
    return text


def _records(text: str, separator: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the cells of each record and the line it begins on; lines without any text are left out."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    line = 1
    for row in reader:
        cells = [cell.strip() for cell in row]
        if any(cells):
            yield line, cells
        line = reader.line_num + 1


def _separator(text: str) -> str:
    """Find the separator under which most of the first lines are as wide as the header, and the header is widest."""

    def fit(separator: str) -> tuple[float, int]:
        try:
            widths = [len(row) for _, row in islice(_records(text, separator), SAMPLE)]
        except csv.Error:
            return 0.0, 0
        if not widths or widths[0] == 1:
            return 0.0, 0
        return widths.count(widths[0]) / len(widths), widths[0]

    return max(SEPARATORS, key=fit)


def _header(path: Path, names: list[str]) -> list[str]:
    """Return the names of the columns; one that has none is named by its place."""
    header = [name or f"{NAMELESS}{place}" for place, name in enumerate(names, start=1)]
    if twice := repeated(header):
        raise InputError(f"{path.name} has several columns named {quoted(twice)}; names must differ")
    return header


def _refuse_ragged(path: Path, width: int, records: list[tuple[int, list[str]]], separator: str) -> None:
    ragged = {line: len(row) for line, row in records if len(row) != width}
    if ragged:
        (line, found), *others = ragged.items()
        also = f", and {lines(dict(others))} {'differ' if len(others) > 1 else 'differs'}, too" if others else ""
        raise InputError(
            f"{path.name} line {line} has {found} cells between {separator!r}, the header {width}{also}: "
            "correct that, or say what separates cells (--separator)"
        )
