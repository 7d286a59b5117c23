"""Columns with their bounds as they are typed: age, age:0:120 or age:0:120:1."""

from __future__ import annotations

import typer

from secagg.stats import Number
from secagg.stats.asking import Said
from secagg_protocols.errors import ParameterError


def number(text: str, said: Said, option: str) -> str:
    """Read COLUMN[:LOW:HIGH[:DECIMALS]], note it, and return the column."""
    name, *bounds = text.split(":")
    if not name or len(bounds) not in (0, 2, 3):
        raise typer.BadParameter(f"{text!r} is not COLUMN[:LOW:HIGH[:DECIMALS]]", param_hint=option)
    said.number(name, _bounds(text, bounds, option) if bounds else None)
    return name


def binned(text: str, said: Said, option: str) -> tuple[str, int | None]:
    """Read COLUMN[:LOW:HIGH][:BINS], note the column, and return it and the bins."""
    *column, bins = text.split(":")
    if len(column) in (0, 2):  # no bins are said
        return number(text, said, option), None
    if not bins.isdecimal():
        raise typer.BadParameter(f"{text!r} is not COLUMN[:LOW:HIGH][:BINS]", param_hint=option)
    return number(":".join(column), said, option), int(bins)


def several(text: str, option: str, least: int = 2, most: int | None = None) -> tuple[str, ...]:
    """Read COLUMN,COLUMN,…"""
    names = tuple(name.strip() for name in text.split(","))
    if not all(names) or len(names) < least or (most is not None and len(names) > most):
        raise typer.BadParameter(f"{text!r} is not {','.join(['COLUMN'] * least)}", param_hint=option)
    return names


def _bounds(text: str, bounds: list[str], option: str) -> Number:
    low, high, *decimals = bounds
    try:
        return Number(float(low), float(high), *map(int, decimals))
    except ParameterError as error:
        raise typer.BadParameter(f"{text!r}: {error}", param_hint=option) from None
    except (ValueError, OverflowError):
        raise typer.BadParameter(f"{text!r} is not COLUMN:LOW:HIGH[:DECIMALS]", param_hint=option) from None
