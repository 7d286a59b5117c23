"""Results as tables on a terminal."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from secagg.stats.results import Cell, Result

HIDDEN = "–"
"""What is not shown, or not defined."""


def print_result(target: Console, result: Result, sites: int) -> None:
    """Print the tables of one result, and what is to be said about it."""
    for shown in result.tables():
        table = Table(title=f"{shown.title} ({sites} sites)", title_justify="left")
        for place, heading in enumerate(shown.headings):
            texts = any(isinstance(row[place], str) for row in shown.rows)
            table.add_column(heading, justify="left" if texts else "right")
        for row in shown.rows:
            table.add_row(*map(_text, row))
        target.print(table)
        for note in shown.notes:
            target.print(note, soft_wrap=True)


def _text(cell: Cell) -> str:
    if cell is None:
        return HIDDEN
    return f"{cell:.6g}" if isinstance(cell, float) else str(cell)
