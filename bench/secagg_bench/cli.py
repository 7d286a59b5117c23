"""`secagg bench …`: joined to the command line through the entry point group `secagg.commands`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from secagg.cli.choice import SchemeChoice
from secagg.cli.command import Commands
from secagg.cli.options import Panel, with_options
from secagg.cli.output import AsJson, console, print_json, progress_bar, readable_bytes
from secagg.extras import needed

from .attacks.command import run_attacks
from .cases import FULL, QUICK, WARM_UP, Case, Grid, grid_of
from .journal import Journal
from .lattice_command import run_lattice
from .liars.command import run_liars
from .overhead import Cost, describe, key_of, measure
from .own_axes import OwnAxes, write_csv
from .peers.command import run_peers
from .peers.engine_command import run_flare, run_flower
from .privacy.command import run_privacy
from .privacy.curve_command import run_utility
from .schemes import run_schemes
from .stats.command import run_stats

DEFAULT_OUT = Path("secagg-bench")

app = Commands(help="Measure what secure sums cost, and what they stop.")
app.command("peers")(run_peers)
app.command("flower")(run_flower)
app.command("flare")(run_flare)
app.command("schemes")(run_schemes)
app.command("lattice")(run_lattice)
app.command("liars")(run_liars)
app.command("privacy")(run_privacy)
app.command("attacks")(run_attacks)
app.command("utility")(run_utility)
app.command("stats")(run_stats)


@app.callback()
def options() -> None:
    """Measure what secure sums cost."""


@app.command()
@with_options
def overhead(
    axes: Annotated[OwnAxes, Panel("Rounds of your own, not the papers' grids")],
    quick: Annotated[bool, typer.Option("--quick", help="Small sizes: a minute, not half an hour.")] = False,
    scheme: Annotated[
        list[str] | None,
        typer.Option(click_type=SchemeChoice(), help="Not the papers' grids, but how this one grows; repeatable."),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for the page, the figures and the finished cases.")] = DEFAULT_OUT,
    csv: Annotated[Path | None, typer.Option(help="Write a row for each round to this file as well.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Keep the finished cases that are in that folder.")] = False,
    as_json: AsJson = False,
) -> None:
    """Run the papers' grids: cost by step, bytes, and CPU time over that of the unavoidable cryptography."""
    if quick and axes.given:
        raise typer.BadParameter("it chooses the sizes, and so do --clients, --length …", param_hint="--quick")
    if axes.given:
        grid = axes.grid(tuple(scheme or ()))
    elif scheme:
        grid = grid_of(scheme, quick=quick)
    else:
        grid = QUICK if quick else FULL
    run(grid, Files(out, csv), resume=resume, as_json=as_json)


@dataclass(frozen=True)
class Files:
    """Where a run is written down. out: a folder. csv: one more file, if any."""

    out: Path
    csv: Path | None


def run(grid: Grid, files: Files, *, resume: bool, as_json: bool) -> None:
    """Measure a grid and write its files. Raises `secagg.InputError` for a damaged file of finished cases."""
    with needed("bench"):
        from . import report
    out = files.out
    out.mkdir(parents=True, exist_ok=True)
    costs = measure_all(grid, Journal(out / "overhead.jsonl", Cost, resume=resume))
    found = report.as_json(grid, costs)
    page = out / "overhead.html"
    (out / "overhead.json").write_text(json.dumps(found, allow_nan=False, indent=1) + "\n", encoding="utf-8")
    page.write_text(report.render(grid, costs), encoding="utf-8")
    if files.csv is not None:
        write_csv(files.csv, costs)
    _print_tables(console(as_json), grid, costs)
    console(as_json).print(f"report: {page}", soft_wrap=True)
    if as_json:
        print_json({**found, "report": str(page)})


def measure_all(grid: Grid, journal: Journal[Cost]) -> dict[Case, Cost]:
    """Return the cost of every case, measuring those that the journal does not have."""
    costs = {}
    warm = False
    with progress_bar() as move:
        for number, case in enumerate(grid.cases):
            move(number, len(grid.cases), describe(case))
            cost = journal.get(key_of(case))
            if cost is None:
                if not warm:
                    measure(WARM_UP)
                    warm = True
                cost = measure(case)
                journal.append(cost)
            costs[case] = cost
    return costs


def _print_tables(target: Console, grid: Grid, costs: Mapping[Case, Cost]) -> None:
    from .figures import short
    from .report import times
    from .units import duration

    for part in grid.tables:
        table = Table(title=part.title, box=SIMPLE_HEAD, title_justify="left", padding=(0, 1, 0, 0))
        for heading in ("scheme", "n", "d", "drop", "collude", "client", "÷ raw", "server", "÷ raw", "sends"):
            table.add_column(heading, justify="left" if heading == "scheme" else "right", no_wrap=True)
        for case in part.cases:
            cost = costs[case]
            table.add_row(
                f"{case.scheme}{' active' if case.adversary == 'active' else ''}",
                short(case.clients),
                short(case.length),
                f"{case.drop:.0%}",
                f"{case.corrupt:.0%}",
                duration(cost.client_ms["total"]),
                times(cost.ratio.client),
                duration(cost.server_ms["total"]),
                times(cost.ratio.server),
                readable_bytes(cost.upload_bytes),
            )
        target.print(table)
    target.print(
        f"{len(grid.cases)} rounds, every sum exact. Times are CPU times and depend on the machine.", soft_wrap=True
    )
