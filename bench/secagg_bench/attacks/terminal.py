"""What was found, for the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from .attack import Attack
from .matrix import Cell, Matrix, names_of
from .registry import grouped

VERDICTS = ("succeeds", "in part", "stopped")
FEW = 4
"""Attacks up to which each view has a line of its own; of more there is a line for each attack."""


def show(matrix: Matrix, fields: dict[str, Any], target: Console) -> None:
    """Print what each attack found, whatever does not hold, and what was not run."""
    if matrix.effort.records is not None:
        for line in (line for attack in matrix.attacks for line in _words(matrix, attack)):
            target.print(line, soft_wrap=True)
    elif len(matrix.attacks) <= FEW:
        for attack in matrix.attacks:
            target.print(_views(matrix, attack))
    else:
        for title, attacks in grouped(matrix.attacks).items():
            target.print(_attacks(title, attacks, matrix))
        for reason in sorted({cell.reason for cell in matrix.cells if cell.missing}):
            names = sorted({cell.attack.name for cell in matrix.cells if cell.missing and cell.reason == reason})
            target.print(f"not run: {', '.join(names)}: {reason}", soft_wrap=True)
    for cell in matrix.wrong:
        text = f"WRONG: {cell.attack.name} × {cell.defence.name}: {cell.wrong} ({_figures(cell)})"
        target.print(text, soft_wrap=True)
    target.print(
        f"{len(matrix.cells)} cells, {sum(cell.missing for cell in matrix.cells)} not run, {len(matrix.wrong)} wrong, "
        f"{fields['seconds']:g} s on {fields['machine']}.",
        soft_wrap=True,
    )


def _attacks(title: str, attacks: Sequence[Attack], matrix: Matrix) -> Table:
    """Return against how many defences each attack of a group succeeds."""
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("attack", no_wrap=True, min_width=max(len(attack.name) for attack in matrix.attacks))
    for name in (*VERDICTS, "no view", "not run", attacks[0].broken_is):
        table.add_column(name, justify="right", min_width=max(map(len, name.split())))
    for attack in attacks:
        cells = [cell for cell in matrix.cells if cell.attack is attack and not cell.weak]
        ran = [cell for cell in cells if cell.runs]
        verdicts = [cell.verdict for cell in ran]
        skipped = sum(cell.missing for cell in cells)
        counts = (*map(verdicts.count, VERDICTS), len(cells) - len(ran) - skipped, skipped)
        weak = matrix.weak(attack)
        table.add_row(attack.name, *(str(count or "–") for count in counts), f"{weak.value:.3g}" if weak.runs else "–")
    return table


def _views(matrix: Matrix, attack: Attack) -> Table:
    heading = f"{attack.title} ({attack.metric.name}, success from {attack.metric.success:g})"
    table = Table(title=heading, title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    for name in ("defences", "found", ""):
        table.add_column(name)
    for cells in matrix.by_view(attack):
        first = cells[0]
        name = names_of(cells)
        if not first.runs:
            table.add_row(name, "–", first.reason)
            continue
        table.add_row(name, _figures(first), first.verdict)
    return table


def _words(matrix: Matrix, attack: Attack) -> list[str]:
    """Return what an attack found in the user's own rows, a sentence for each view."""
    told = [f"{attack.name}: {attack.title}"]
    for cells in matrix.by_view(attack):
        sentence = cells[0].words if cells[0].runs else cells[0].reason
        told.append(f"  {sentence} ({names_of(cells)})")
    return [*told, ""]


def _figures(cell: Cell) -> str:
    return f"{cell.value:.3g}, a guess {cell.baseline:.3g}"
