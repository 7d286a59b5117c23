"""The command `flower`: a secure round in Flower's real engine, our adapter beside Flower's own SecAgg+."""

from __future__ import annotations

from dataclasses import asdict
from math import ceil
from typing import Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table

from secagg.cli.output import AsJson, console, print_json, progress_bar

from .engine import EngineFailed, EngineTimedOut, Rounds, complete, missing, run_engine
from .runner import INSTALL, Status
from .task import Task

SIDES = {"ours": "ours", "flower": "Flower SecAgg+"}


def run_flower(
    clients: Annotated[int, typer.Option(min=4, help="Nodes.")] = 10,
    length: Annotated[int, typer.Option(min=1, help="Coordinates of an update.")] = 100_000,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds of each, after one that is not counted.")] = 3,
    limit: Annotated[float, typer.Option(min=1, help="Seconds for one run; then it is ended.")] = 300,
    as_json: AsJson = False,
) -> None:
    """Compare with Flower's SecAgg+ in Flower's own simulation engine: wall time of a round without training."""
    told = console(as_json)
    if absent := missing():
        reason = f"{absent} is not installed; {INSTALL['flower']}"
        told.print(f"Flower's engine: {Status.SKIPPED.value}: {reason}", soft_wrap=True)
        if as_json:
            print_json({"status": Status.SKIPPED.value, "reason": reason})
        return
    task = complete(clients, length, ceil(2 * clients / 3))
    found: dict[str, Rounds] = {}
    failures: dict[str, tuple[Status, str]] = {}
    with progress_bar() as move:
        for done, (side, label) in enumerate(SIDES.items()):
            move(done, len(SIDES), label)
            try:
                found[side] = run_engine(side, task, rounds, limit)
            except EngineTimedOut as late:
                failures[side] = Status.TIMED_OUT, str(late)
            except EngineFailed as failure:
                failures[side] = Status.FAILED, str(failure)
    if as_json:
        print_json(_fields(task, found, failures))
    else:
        title = f"{clients} nodes, {length:,} coordinates, {clients}/{task.threshold} shares; seconds of a round"
        told.print(_table(found, title))
    for side, (status, reason) in failures.items():
        told.print(f"{SIDES[side]}: {status.value}: {reason}", soft_wrap=True, markup=False)
    if failures:
        raise typer.Exit(1)


def _ratios(found: dict[str, Rounds]) -> dict[str, float | None] | None:
    """Return ours ÷ Flower's; None when either is not there."""
    if len(found) < len(SIDES):
        return None
    ours, flower = found["ours"], found["flower"]
    cpu = ours.median_cpu_s / flower.median_cpu_s if flower.median_cpu_s else None
    return {"wall": ours.median_wall_s / flower.median_wall_s, "cpu": cpu}


def _fields(task: Task, found: dict[str, Rounds], failures: dict[str, tuple[Status, str]]) -> dict[str, object]:
    sides = [
        {"name": SIDES[side], "status": Status.MEASURED.value, **asdict(figures)} for side, figures in found.items()
    ] + [{"name": SIDES[side], "status": status.value, "reason": reason} for side, (status, reason) in failures.items()]
    return {
        "status": Status.FAILED.value if failures else Status.MEASURED.value,
        "clients": task.clients,
        "length": task.length,
        "threshold": task.threshold,
        "sides": sides,
        "ours_to_flower": _ratios(found),
    }


def _table(found: dict[str, Rounds], title: str) -> Table:
    table = Table(title=title, box=SIMPLE_HEAD, title_justify="left", pad_edge=False)
    for heading in ("", "each round", "median", "CPU"):
        table.add_column(heading, justify="right" if heading else "left", no_wrap=heading != "each round")
    for side, rounds in found.items():
        each = "  ".join(f"{seconds:.2f}" for seconds in rounds.wall_s)
        table.add_row(SIDES[side], each, f"{rounds.median_wall_s:.2f}", f"{rounds.median_cpu_s:.2f}")
    if ratios := _ratios(found):
        wall, cpu = (f"{ratio:.2f}×" if ratio else "" for ratio in ratios.values())
        table.add_row("ours ÷ Flower's", "", wall, cpu)
    return table
