"""Results as tables on a terminal."""

from __future__ import annotations

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from secagg.stats.results import Cell, Result

HIDDEN = "–"
"""What is not shown, or not defined."""


def print_result(target: Console, result: Result, sites: int) -> None:
    """Print the tables of one result, and what is to be said about it."""
    for shown in result.tables():
        target.print(f"{shown.title} ({sites} sites)", style="italic", soft_wrap=True)
        table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
        for place, heading in enumerate(shown.headings):
            texts = any(isinstance(row[place], str) for row in shown.rows)
            # A heading may go on in a second line, a cell may not.
            words = [*heading.split(), *(_text(row[place]) for row in shown.rows)]
            width = max(map(len, words), default=0)
            table.add_column(heading, justify="left" if texts else "right", min_width=width)
        for row in shown.rows:
            table.add_row(*map(_text, row))
        target.print(table, crop=False)  # a number that is cut is another one
        for note in shown.notes:
            target.print(note, soft_wrap=True)


def _text(cell: Cell) -> str:
    if cell is None:
        return HIDDEN
    if not isinstance(cell, float):
        return str(cell)
    return f"{cell:.4g}" if abs(cell) < 1 else f"{cell:.6g}"
