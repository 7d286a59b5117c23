"""Names in messages: the first few of many, and the one that was perhaps meant."""

from __future__ import annotations

import reprlib
import shlex
from collections import Counter
from collections.abc import Collection, Iterable
from difflib import get_close_matches
from itertools import islice

SHOWN = 6

SHOWN_LINES = 3

LONGEST = 60
"""Characters of a name or a cell that a message shows; a cell may be a page of text."""


def cut(text: str) -> str:
    """Return a text in quotes, without its middle where it is long."""
    short = reprlib.Repr()
    short.maxstring = LONGEST
    return short.repr(text)


def few(texts: Collection[object], most: int = SHOWN) -> str:
    """Return the first texts, and how many more there are."""
    shown = ", ".join(map(str, islice(texts, most)))
    return shown if len(texts) <= most else f"{shown} and {len(texts) - most:,} more"


def quoted(names: Iterable[str]) -> str:
    """Return the first names in quotes, and how many more there are."""
    return few([cut(name) for name in names])


def lines(numbers: Collection[int]) -> str:
    """Return 'line 3', or the first of many lines and how many more there are."""
    return f"{'line' if len(numbers) == 1 else 'lines'} {few(numbers, SHOWN_LINES)}"


def repeated(names: Iterable[str]) -> list[str]:
    """Return the names that are there more than once."""
    return sorted(name for name, count in Counter(names).items() if count > 1)


def nearest(name: str, names: Iterable[str]) -> str:
    """Return a question with the names closest to a wrong one, or nothing where none is close."""
    close = get_close_matches(name, list(names), n=2)
    return f" (did you mean {' or '.join(map(repr, close))}?)" if close else ""


def options(flag: str, values: Collection[str]) -> str:
    """Return an option as it would be typed, once for each value; of many, the first few."""
    short = [value for value in values if len(value) <= LONGEST][:SHOWN]
    typed = " ".join(f"{flag} {shlex.quote(value)}" for value in short)
    return typed if len(values) == len(short) else f"{typed} …"
