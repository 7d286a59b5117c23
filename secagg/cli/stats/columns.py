"""Columns with their bounds as they are typed: age, age:0:120 or age:0:120:1.

A name that holds a colon or a comma stands in double quotes, as in a CSV file: "systolic: left":50:250.
"""

from __future__ import annotations

import csv

import typer

from secagg.stats import Number
from secagg.stats.asking import Said
from secagg_protocols.errors import ParameterError


def number(text: str, said: Said, option: str) -> str:
    """Read COLUMN[:LOW:HIGH[:DECIMALS]], note it, and return the column."""
    return _noted(_fields(text, ":"), text, said, option)


def binned(text: str, said: Said, option: str) -> tuple[str, int | None]:
    """Read COLUMN[:LOW:HIGH][:BINS], note the column, and return it and the bins."""
    fields = _fields(text, ":")
    if len(fields) in (1, 3):  # no bins are said
        return _noted(fields, text, said, option), None
    *column, bins = fields
    if not bins.isdecimal():
        raise typer.BadParameter(f"{text!r} is not COLUMN[:LOW:HIGH][:BINS]", param_hint=option)
    return _noted(column, text, said, option), int(bins)


def several(text: str, option: str, least: int = 2, most: int | None = None) -> tuple[str, ...]:
    """Read COLUMN,COLUMN,…"""
    names = tuple(name.strip() for name in _fields(text, ","))
    if not all(names) or len(names) < least or (most is not None and len(names) > most):
        raise typer.BadParameter(f"{text!r} is not {','.join(['COLUMN'] * least)}", param_hint=option)
    return names


def _fields(text: str, separator: str) -> list[str]:
    """Return what stands between the separators; one empty field for what cannot be read."""
    spaced = separator == ","
    try:
        return next(csv.reader([text], delimiter=separator, skipinitialspace=spaced, strict=True)) or [""]
    except csv.Error:
        return [""]


def _noted(fields: list[str], text: str, said: Said, option: str) -> str:
    name, *bounds = fields
    if not name or len(bounds) not in (0, 2, 3):
        raise typer.BadParameter(f"{text!r} is not COLUMN[:LOW:HIGH[:DECIMALS]]", param_hint=option)
    said.number(name, _bounds(text, bounds, option) if bounds else None)
    return name


def _bounds(text: str, bounds: list[str], option: str) -> Number:
    low, high, *decimals = bounds
    try:
        return Number(float(low), float(high), *map(int, decimals))
    except ParameterError as error:
        raise typer.BadParameter(f"{text!r}: {error}", param_hint=option) from None
    except (ValueError, OverflowError):
        raise typer.BadParameter(f"{text!r} is not COLUMN:LOW:HIGH[:DECIMALS]", param_hint=option) from None
