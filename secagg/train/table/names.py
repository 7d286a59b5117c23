"""Names in messages: the first few of many, and the one that was perhaps meant."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from difflib import get_close_matches
from itertools import islice

SHOWN = 6


def few(texts: Collection[object]) -> str:
    """Return the first texts, and how many more there are."""
    shown = ", ".join(map(str, islice(texts, SHOWN)))
    return shown if len(texts) <= SHOWN else f"{shown} and {len(texts) - SHOWN:,} more"


def quoted(names: Collection[str]) -> str:
    """Return the first names in quotes, and how many more there are."""
    return few([repr(name) for name in names])


def lines(numbers: Collection[int]) -> str:
    """Return 'line 3', or 'lines 3, 5 and 17 more'."""
    return f"{'line' if len(numbers) == 1 else 'lines'} {few(numbers)}"


def nearest(name: str, names: Iterable[str]) -> str:
    """Return a question with the names closest to a wrong one, or nothing where none is close."""
    close = get_close_matches(name, list(names), n=2)
    return f"; did you mean {' or '.join(map(repr, close))}?" if close else ""
