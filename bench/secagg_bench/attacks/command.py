"""The command `attacks`: which attack beats which defence, and what each defence costs."""

from __future__ import annotations

import json
import time
from collections.abc import Hashable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from secagg.cli.options import with_options
from secagg.cli.output import AsJson, console, print_json, progress_bar
from secagg.extras import needed
from secagg_protocols import ParameterError

from ..journal import Journal
from ..overhead import machine
from ..own_table import Reading

if TYPE_CHECKING:
    from .attack import Attack, Records
    from .pieces import Piece
    from .workers import Task

FULL_SEEDS = 10
QUICK_SEEDS = 3
DEFAULT_OUT = Path("secagg-attacks")


@with_options
def run_attacks(
    *,
    attack: Annotated[list[str] | None, typer.Option(metavar="NAME", help="Only this one; repeatable.")] = None,
    defence: Annotated[list[str] | None, typer.Option(metavar="NAME", help="Only this one; repeatable.")] = None,
    csv: Annotated[Path | None, typer.Option(metavar="FILE", help="Attack rows of your own table.")] = None,
    target: Annotated[str | None, typer.Option(metavar="COLUMN", help="Of --csv: its column with two classes.")] = None,
    reading: Reading,
    quick: Annotated[
        bool, typer.Option("--quick", help="Three seeds, not ten, and one training for each cost.")
    ] = False,
    out: Annotated[
        Path, typer.Option(metavar="DIR", file_okay=False, help="Folder for the page and what is finished.")
    ] = DEFAULT_OUT,
    resume: Annotated[bool, typer.Option("--resume", help="Keep what is finished in that folder.")] = False,
    workers: Annotated[
        int | None, typer.Option(min=1, metavar="N", show_default="one a core", help="Processes; 1: none but this one.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Run each attack against each defence; exit 1 where a defence does not stop what it is claimed to stop."""
    with needed("bench"):
        import scipy  # noqa: F401

        from . import costs, matrix
        from .attack import Effort
        from .fields import as_fields
        from .page import render
        from .pieces import Piece
        from .registry import attacks, chosen, defences
        from .terminal import show
        from .workers import cores
    own = records(csv, target, reading)
    known = attacks()
    if own is not None:
        known = _on_tables(known, attack or ())
    wanted = chosen("--attack", attack or (), known)
    against = chosen("--defence", defence or (), defences())
    seeds = tuple(range(QUICK_SEEDS if quick else FULL_SEEDS))
    out.mkdir(parents=True, exist_ok=True)
    start = time.monotonic()
    journal: Journal[Piece] = Journal(out / "attacks.jsonl", Piece, resume=resume)
    effort = Effort(seeds, quick, own)
    trainings = 1 if quick else 3
    tasks = [*costs.tasks_of(against, trainings, journal), *matrix.tasks_of(wanted, against, effort, journal)]
    skipped = _finished(tasks, journal, workers or cores(), out)
    cells = matrix.matrix_of(wanted, against, effort, journal, skipped)
    prices = costs.costs_of(against, trainings, journal, skipped)
    fields: dict[str, Any] = {
        "benchmark": "attacks",
        "version": version("secagg"),
        "machine": machine(),
        "quick": quick,
        "seconds": round(time.monotonic() - start, 1),
        **as_fields(cells, prices),
    }
    page = _written(out, fields, render(cells, prices, fields))
    show(cells, fields, console(as_json))
    console(as_json).print(f"report: {page}", soft_wrap=True)
    if as_json:
        print_json({**fields, "report": str(page)})
    if cells.wrong:
        raise typer.Exit(1)


def _written(out: Path, fields: dict[str, Any], page: str) -> Path:
    """Write the figures and the page into this folder; return where the page is."""
    (out / "attacks.json").write_text(json.dumps(fields, allow_nan=False, indent=1) + "\n", encoding="utf-8")
    path = out / "attacks.html"
    path.write_text(page, encoding="utf-8")
    return path


def _finished(tasks: Sequence[Task], journal: Journal[Piece], workers: int, out: Path) -> dict[Hashable, str]:
    from .workers import finish

    with progress_bar() as move:
        try:
            return finish(tasks, journal, move, workers)
        except KeyboardInterrupt:
            console(as_json=True).print(f"stopped; what is finished is kept: go on with --resume --out {out}")
            raise


def records(csv: Path | None, target: str | None, reading: Reading) -> Records | None:
    """Read the user's own table, as `secagg train` would. Raises `InputError`, one line with all that is wrong."""
    if csv is None:
        if target is not None:
            raise typer.BadParameter("it says a column of --csv: give the table, too", param_hint="--target")
        reading.check_unused()
        return None
    if target is None:
        raise typer.BadParameter("the table needs --target, its column with two classes", param_hint="--csv")
    with needed("train"):
        from secagg.train.csvdata import load_csv
        from secagg.train.data import Data

    from .attack import Records

    table = load_csv(Data(csv=(str(csv),), target=target, **reading.settings))
    return Records(table.name, table.x, table.y)


def _on_tables(known: dict[str, Attack], asked: Sequence[str]) -> dict[str, Attack]:
    """Return the attacks on rows of a table. Raises `ParameterError` where another is asked for by name."""
    for name in asked:
        if name in known and not known[name].on_tables:
            able = ", ".join(name for name, one in known.items() if one.on_tables)
            raise ParameterError(f"--attack {name!r} needs no rows of a table: leave --csv out, or choose from {able}")
    return {name: one for name, one in known.items() if one.on_tables}
