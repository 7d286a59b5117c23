"""What a statistic comes to: plain data for programs, tables for people."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import msgspec

Cell = str | int | float | None
"""None: not shown, or not defined."""


@dataclass(frozen=True)
class Shown:
    """One table for people. notes: sentences below it."""

    title: str
    headings: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    notes: tuple[str, ...] = ()


class Result(msgspec.Struct, frozen=True, tag_field="statistic"):
    """Base of results. A number is None where it is not shown, or not defined."""

    def plain(self) -> dict[str, Any]:
        """Return it as JSON has it, with the statistic's name. What is no finite number is None."""
        plain: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(self))
        return plain

    def tables(self) -> Iterable[Shown]:
        """Yield what people read."""
        raise NotImplementedError
