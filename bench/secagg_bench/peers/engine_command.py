"""The command `flower`: a secure round in Flower's real engine, our adapter beside Flower's own SecAgg+."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from math import ceil
from typing import Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from secagg.cli.output import AsJson, console, print_json, progress_bar

from .engine import EngineFailed, EngineTimedOut, Rounds, complete, missing, run_engine
from .runner import INSTALL, LONGEST_S, Status
from .task import Task

SIDES = {"ours": "ours", "flower": "Flower SecAgg+"}


def run_flower(
    clients: Annotated[int, typer.Option(min=4, help="Nodes.")] = 10,
    length: Annotated[int, typer.Option(min=1, help="Coordinates of an update.")] = 100_000,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds of each, after one that is not counted.")] = 3,
    limit: Annotated[float, typer.Option(min=1, max=LONGEST_S, help="Seconds for one run; then it is ended.")] = 300,
    as_json: AsJson = False,
) -> None:
    """Compare with Flower's SecAgg+ in Flower's own simulation engine: wall time of a round without training."""
    told = console(as_json)
    with progress_bar() as move:
        found = compare(clients, length, rounds, limit, move)
    if as_json:
        print_json(found.fields())
    found.tell(told, table=not as_json)
    if found.failures:
        raise typer.Exit(1)


@dataclass
class Comparison:
    """Both sides in the engine.

    found: figures by side. failures: why there are none. missing: what is not installed.
    """

    task: Task
    found: dict[str, Rounds] = field(default_factory=dict)
    failures: dict[str, tuple[Status, str]] = field(default_factory=dict)
    missing: str | None = None

    @property
    def ratios(self) -> dict[str, float | None] | None:
        """Return ours ÷ Flower's; None when either is not there."""
        if len(self.found) < len(SIDES):
            return None
        ours = self.found["ours"]
        flower = self.found["flower"]
        cpu = ours.median_cpu_s / flower.median_cpu_s if flower.median_cpu_s else None
        return {"wall": ours.median_wall_s / flower.median_wall_s, "cpu": cpu}

    def fields(self) -> dict[str, object]:
        """Return everything as JSON values."""
        if self.missing:
            return {"status": Status.SKIPPED.value, "reason": self._why_skipped}
        measured: list[dict[str, object]] = [
            {"name": SIDES[side], "status": Status.MEASURED.value, **asdict(rounds)}
            for side, rounds in self.found.items()
        ]
        failed: list[dict[str, object]] = [
            {"name": SIDES[side], "status": status.value, "reason": reason}
            for side, (status, reason) in self.failures.items()
        ]
        return {
            "status": Status.FAILED.value if failed else Status.MEASURED.value,
            "clients": self.task.clients,
            "length": self.task.length,
            "threshold": self.task.threshold,
            "sides": measured + failed,
            "ours_to_flower": self.ratios,
        }

    def tell(self, told: Console, *, table: bool) -> None:
        """Print it for a person; without the table, only what went wrong."""
        if self.missing:
            told.print(f"Flower's engine: {Status.SKIPPED.value}: {self._why_skipped}", soft_wrap=True)
        elif table:
            told.print(self._table())
        for side, (status, reason) in self.failures.items():
            told.print(f"{SIDES[side]}: {status.value}: {reason}", soft_wrap=True, markup=False)

    @property
    def _why_skipped(self) -> str:
        return f"{self.missing} is not installed; {INSTALL['flower']}"

    def _table(self) -> Table:
        task = self.task
        shape = f"{task.clients} nodes, {task.length:,} coordinates, {task.clients}/{task.threshold} shares"
        table = Table(
            title=f"In Flower's engine: {shape}; seconds of a round",
            box=SIMPLE_HEAD,
            title_justify="left",
            pad_edge=False,
        )
        for heading in ("", "each round", "median", "CPU"):
            table.add_column(heading, justify="right" if heading else "left", no_wrap=heading != "each round")
        for side, rounds in self.found.items():
            each = "  ".join(f"{seconds:.2f}" for seconds in rounds.wall_s)
            table.add_row(SIDES[side], each, f"{rounds.median_wall_s:.2f}", f"{rounds.median_cpu_s:.2f}")
        if self.ratios:
            wall, cpu = (f"{ratio:.2f}×" if ratio else "" for ratio in self.ratios.values())
            table.add_row("ours ÷ Flower's", "", wall, cpu)
        return table


def compare(
    clients: int, length: int, rounds: int, limit_s: float, move: Callable[[int, int, str], None]
) -> Comparison:
    """Run both sides, one after the other. A side that fails or takes too long is told of, not raised."""
    comparison = Comparison(complete(clients, length, ceil(2 * clients / 3)), missing=missing())
    comparison.task.check_fits()
    for done, (side, label) in enumerate(SIDES.items() if not comparison.missing else ()):
        move(done, len(SIDES), f"{label} in Flower's engine")
        try:
            comparison.found[side] = run_engine(side, comparison.task, rounds, limit_s)
        except EngineTimedOut as late:
            comparison.failures[side] = Status.TIMED_OUT, str(late)
        except EngineFailed as failure:
            comparison.failures[side] = Status.FAILED, str(failure)
    return comparison
