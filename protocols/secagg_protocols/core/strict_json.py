"""JSON that somebody may have tampered with: one meaning or none, and no error but `ValueError`."""

from __future__ import annotations

import json
from typing import Any


def loads(data: bytes) -> Any:
    """Decode UTF-8 JSON. Raises `ValueError` for bad UTF-8, names given twice, numbers that are none, deep nesting."""
    try:
        return json.loads(data.decode(), object_pairs_hook=_without_repeats, parse_constant=_no_number)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice in one object")
    return found


def _no_number(constant: str) -> Any:
    raise ValueError(f"{constant} is no JSON number")
