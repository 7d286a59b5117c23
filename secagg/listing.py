"""Names in one line of text: a few of them, and how many more there are."""

from __future__ import annotations

from collections.abc import Callable, Iterable

SHOWN = 8


def listed(names: Iterable[object], shown: Callable[[object], str] = repr) -> str:
    """Return the first few of some names, and the number of all others; empty for none."""
    held = list(names)
    more = f" and {len(held) - SHOWN} more" if len(held) > SHOWN else ""
    return ", ".join(map(shown, held[:SHOWN])) + more
