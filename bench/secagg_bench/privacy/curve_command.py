"""The command `utility`: what ε costs a model, on a data set of scikit-learn or on a table of one's own."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from statistics import fmean, stdev
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table

from secagg.cli.options import with_options
from secagg.cli.output import AsJson, console, print_json, progress_bar
from secagg.extras import needed
from secagg_protocols import InputError

from ..journal import Journal
from ..overhead import machine
from ..own_table import Reading

if TYPE_CHECKING:
    from .curve import Grid, Point

EPSILONS = (0.3, 1.0, 3.0, 8.0)
QUICK_EPSILONS = (1.0, 8.0)
SITES = (5, 10, 20)
QUICK_SITES = (10,)
SEEDS = 5
QUICK_SEEDS = 2
DEFAULT_OUT = Path("secagg-utility")


@with_options
def run_utility(
    *,
    epsilon: Annotated[list[float] | None, typer.Option(help="Of a whole training; repeatable.")] = None,
    sites: Annotated[list[int] | None, typer.Option(min=3, max=1000, help="How many; repeatable.")] = None,
    seeds: Annotated[int | None, typer.Option(min=2, max=1000, help="Trainings of each point.")] = None,
    csv: Annotated[Path | None, typer.Option(metavar="FILE", help="A table of your own, not breast-cancer.")] = None,
    target: Annotated[str | None, typer.Option(metavar="COLUMN", help="Of --csv: its column with two classes.")] = None,
    patient_column: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="Of --csv: whose the rows are; then patients, too.")
    ] = None,
    reading: Reading,
    quick: Annotated[bool, typer.Option("--quick", help="Fewer values of each.")] = False,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder for the page and what is finished.")] = DEFAULT_OUT,
    resume: Annotated[bool, typer.Option("--resume", help="Keep what is finished in that folder.")] = False,
    as_json: AsJson = False,
) -> None:
    """Train with each ε, kind of noise and number of sites: what privacy costs, with the spread over seeds."""
    with needed("train"):
        from .curve import Grid, Point
    with needed("bench"):
        from .curve_page import render
    name, data = rows_of(csv, target, patient_column, reading)
    grid = Grid(
        name,
        data,
        tuple(epsilon or (QUICK_EPSILONS if quick else EPSILONS)),
        tuple(sites or (QUICK_SITES if quick else SITES)),
        seeds or (QUICK_SEEDS if quick else SEEDS),
    )
    out.mkdir(parents=True, exist_ok=True)
    points = train_all(grid, Journal(out / "utility.jsonl", Point, resume=resume))
    fields = {
        "benchmark": "utility",
        "version": version("secagg"),
        "machine": machine(),
        "data": grid.name,
        "seeds": list(range(grid.seeds)),
        "points": [fields_of(point) for point in points],
    }
    (out / "utility.json").write_text(json.dumps(fields, allow_nan=False, indent=1) + "\n", encoding="utf-8")
    page = out / "utility.html"
    page.write_text(render(grid, points), encoding="utf-8")
    _print(points, page, as_json=as_json)
    if as_json:
        print_json({**fields, "report": str(page)})


def rows_of(
    csv: Path | None, target: str | None, patient_column: str | None, reading: Reading
) -> tuple[str, Mapping[str, Any]]:
    """Return the name of the rows and the settings that bring them. A table is named by what is in it, too."""
    if csv is None:
        for option, value in (("--target", target), ("--patient-column", patient_column)):
            if value is not None:
                raise typer.BadParameter("it says a column of --csv: give the table, too", param_hint=option)
        reading.check_unused()
        return "breast-cancer", {"dataset": "breast-cancer"}
    if target is None:
        raise typer.BadParameter("the table needs --target, its column with two classes", param_hint="--csv")
    try:
        schema = reading.schema.read_bytes() if reading.schema else b""
        digest = hashlib.sha256(csv.read_bytes() + schema).hexdigest()[:16]
    except OSError as error:
        raise InputError(f"cannot read {error.filename!r}: {error.strerror}; give another file") from error
    data: dict[str, Any] = {"csv": (str(csv),), "target": target, **reading.settings}
    if patient_column is not None:
        data["patient_column"] = patient_column
    read = ", ".join(f"{name}: {said}" for name, said in reading.settings.items())
    return " ".join(part for part in (csv.name, digest, target, patient_column, read) if part), data


def train_all(grid: Grid, journal: Journal[Point]) -> list[Point]:
    """Return every point of the grid, showing where it is."""
    from .curve import point
    from .utility import in_processes

    places = list(grid.places)
    points = []
    with progress_bar() as move, in_processes() as train:
        for number, place in enumerate(places):
            noise, epsilon, sites, _ = place
            move(number, len(places), f"{noise}, ε = {epsilon or '∞'}, {sites} sites")
            points.append(point(grid, place, train, journal))
    return points


def fields_of(point: Point) -> dict[str, Any]:
    """Return a point with its mean and its standard deviation; None where nothing was trained."""
    return {
        "noise": point.noise,
        "epsilon": point.epsilon,
        "sites": point.sites,
        "aucs": list(point.aucs),
        "mean": fmean(point.aucs) if point.aucs else None,
        "deviation": stdev(point.aucs) if point.aucs else None,
        "reason": point.reason,
    }


def _print(points: Sequence[Point], page: Path, *, as_json: bool) -> None:
    target = console(as_json)
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for heading in ("sites", "noise", "ε", "AUC", "±"):
        table.add_column(heading, justify="left" if heading == "noise" else "right")
    for point in points:
        said = fields_of(point)
        figures = (f"{said['mean']:.3f}", f"{said['deviation']:.3f}") if point.aucs else ("–", point.reason)
        table.add_row(str(point.sites), point.noise, "∞" if point.epsilon is None else f"{point.epsilon:g}", *figures)
    target.print(table)
    target.print(f"report: {page}", soft_wrap=True)
