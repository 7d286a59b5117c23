"""The command `privacy`: each figure that is claimed of noise under the sum, measured, beside its bound."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table

from secagg.cli.output import AsJson, console, print_json, progress_bar
from secagg.extras import needed

from ..overhead import machine
from . import audits, rounds
from .accounting import accounting
from .exactness import exactness
from .rounds import dropouts, errors, lengths, sparse_dropouts
from .rows import Row
from .speed import samples, speeds


@dataclass(frozen=True)
class Sizes:
    """How much is measured. seeds: with which models are trained; 0: none is."""

    rounds: rounds.Sizes
    samples: int
    audits: audits.Effort
    seeds: int


FULL = Sizes(rounds.FULL, 10_000_000, audits.FULL, 5)
QUICK = Sizes(rounds.QUICK, 1_000_000, audits.QUICK, 0)

Part = Callable[[], Iterator[Row]]


def parts_of(sizes: Sizes) -> Sequence[Part]:
    """Return what is measured, in order."""
    with needed("train"):
        from .row_audit import row_audits
        from .utility import utility
    trained = [lambda: utility(sizes.seeds)] if sizes.seeds else []
    return (
        exactness,
        accounting,
        lambda: errors(sizes.rounds),
        lambda: dropouts(sizes.rounds),
        lambda: sparse_dropouts(sizes.rounds),
        lengths,
        speeds,
        lambda: samples(sizes.samples),
        lambda: audits.audits(sizes.audits),
        row_audits,
        *trained,
    )


def run_privacy(
    quick: Annotated[bool, typer.Option("--quick", help="Fewer values and no training: a minute, not twenty.")] = False,
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Folder for privacy.json, the figures.")] = None,
    as_json: AsJson = False,
) -> None:
    """Measure what is claimed of noise under the sum; exit 1 where a claim does not hold."""
    start = time.monotonic()
    rows = measured(parts_of(QUICK if quick else FULL))
    broken = [row for row in rows if not row.held]
    found = {
        "benchmark": "privacy",
        "machine": machine(),
        "quick": quick,
        "seconds": time.monotonic() - start,
        "rows": [row.json() for row in rows],
        "broken": len(broken),
    }
    note = (
        "Speeds are of CPU time and depend on the machine; a right variance is beyond its bound once in 16,000 times."
    )
    print_rows(rows, found, note, as_json=as_json)
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        (out / "privacy.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    if as_json:
        print_json(found)
    if broken:
        raise typer.Exit(1)


def measured(parts: Sequence[Part]) -> list[Row]:
    """Return the rows of all parts, showing where it is."""
    rows: list[Row] = []
    with progress_bar() as move:
        for number, part in enumerate(parts):
            move(number, len(parts), "")
            for row in part():
                rows.append(row)
                move(number, len(parts), f"{row.part}: {row.what}")
        move(len(parts), len(parts), "")
    return rows


def print_rows(rows: Sequence[Row], found: dict[str, Any], note: str, *, as_json: bool) -> None:
    """Show a person what was found, and how many claims do not hold."""
    target = console(as_json)
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("part")
    table.add_column("what")
    table.add_column("figure", justify="right", no_wrap=True)
    table.add_column("claimed", no_wrap=True)
    table.add_column("", no_wrap=True)
    for row in rows:
        table.add_row(row.part, row.what, f"{row.figure:.6g}", row.bound, "" if row.held else "BROKEN")
    target.print(table)
    target.print(
        f"{len(rows)} figures, {found['broken']} claims broken, {found['seconds']:.0f} s on {found['machine']}. {note}",
        soft_wrap=True,
    )
