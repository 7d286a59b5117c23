"""The commands `flower` and `flare`: secure rounds in a framework's real engine, our adapter beside its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from secagg.cli.output import AsJson, console, print_json, progress_bar, readable_bytes

from . import engine, flare_engine
from .engine import Rounds, complete, run_engine
from .flare_engine import SimulatedRounds, run_simulator
from .processes import EngineFailed, EngineTimedOut
from .runner import INSTALL, LONGEST_S, Status
from .task import Task

OURS = "ours"
Limit = Annotated[float, typer.Option(min=1, max=LONGEST_S, help="Seconds for one run; then it is ended.")]
Counted = Annotated[int, typer.Option(min=1, help="Rounds of each, after one that is not counted.")]
Length = Annotated[int, typer.Option(min=1, help="Coordinates of an update.")]
Move = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Engine:
    """A framework's own engine. theirs: its module in the apps, and its key in `INSTALL` and in JSON. label: what
    stands there. missing: the name of what is not installed. run: one side."""

    name: str
    theirs: str
    label: str
    missing: Callable[[], str | None]
    run: Callable[[str, Task, int, float], Rounds]

    @property
    def sides(self) -> Mapping[str, str]:
        """Module of an app → what it is called."""
        return {OURS: OURS, self.theirs: self.label}


FLOWER = Engine("Flower", "flower", "Flower SecAgg+", engine.missing, lambda *said: run_engine(*said))
FLARE = Engine("FLARE", "flare", "FLARE HE", flare_engine.missing, lambda *said: run_simulator(*said))


def run_flower(
    clients: Annotated[int, typer.Option(min=4, help="Nodes.")] = 10,
    length: Length = 100_000,
    rounds: Counted = 3,
    limit: Limit = 300,
    as_json: AsJson = False,
) -> None:
    """Compare with Flower's SecAgg+ in Flower's own simulation engine: wall time of a round without training."""
    _run(FLOWER, complete(clients, length), rounds, limit, as_json)


def run_flare(
    clients: Annotated[int, typer.Option(min=4, help="Sites.")] = 5,
    length: Length = 1_000_000,
    rounds: Counted = 3,
    limit: Limit = 300,
    as_json: AsJson = False,
) -> None:
    """Compare with FLARE's encryption in FLARE's simulator: upload, wall time, CPU of a round without training."""
    _run(FLARE, complete(clients, length), rounds, limit, as_json)


def _run(engine: Engine, task: Task, rounds: int, limit: float, as_json: bool) -> None:
    told = console(as_json)
    with progress_bar() as move:
        found = compare(engine, task, rounds, limit, move)
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

    engine: Engine
    task: Task
    found: dict[str, Rounds] = field(default_factory=dict)
    failures: dict[str, tuple[Status, str]] = field(default_factory=dict)
    missing: str | None = None

    @property
    def ratios(self) -> dict[str, float | None] | None:
        """Return ours ÷ theirs; None when either is not there. The bytes, where the engine counts them."""
        if len(self.found) < len(self.engine.sides):
            return None
        ours = self.found[OURS]
        theirs = self.found[self.engine.theirs]
        found: dict[str, float | None] = {
            "wall": ours.median_wall_s / theirs.median_wall_s,
            "cpu": ours.median_cpu_s / theirs.median_cpu_s if theirs.median_cpu_s else None,
        }
        if isinstance(ours, SimulatedRounds) and isinstance(theirs, SimulatedRounds):
            found["upload"] = ours.upload_bytes / theirs.upload_bytes
        return found

    def fields(self) -> dict[str, object]:
        """Return everything as JSON values."""
        if self.missing:
            return {"status": Status.SKIPPED.value, "reason": self._why_skipped}
        sides = self.engine.sides
        measured: list[dict[str, object]] = [
            {"name": sides[side], "status": Status.MEASURED.value, **asdict(rounds)}
            for side, rounds in self.found.items()
        ]
        failed: list[dict[str, object]] = [
            {"name": sides[side], "status": status.value, "reason": reason}
            for side, (status, reason) in self.failures.items()
        ]
        return {
            "status": Status.FAILED.value if failed else Status.MEASURED.value,
            "clients": self.task.clients,
            "length": self.task.length,
            "threshold": self.task.threshold,
            "sides": measured + failed,
            f"ours_to_{self.engine.theirs}": self.ratios,
        }

    def tell(self, told: Console, *, table: bool) -> None:
        """Print it for a person; without the table, only what went wrong."""
        if self.missing:
            told.print(f"{self.engine.name}'s engine: {Status.SKIPPED.value}: {self._why_skipped}", soft_wrap=True)
        elif table:
            told.print(self._table())
        for side, (status, reason) in self.failures.items():
            told.print(f"{self.engine.sides[side]}: {status.value}: {reason}", soft_wrap=True, markup=False)

    @property
    def _why_skipped(self) -> str:
        return f"{self.missing} is not installed; {INSTALL[self.engine.theirs]}"

    def _table(self) -> Table:
        task = self.task
        shape = f"{task.clients} nodes, {task.length:,} coordinates, {task.clients}/{task.threshold} shares"
        table = Table(
            title=f"In {self.engine.name}'s engine: {shape}; seconds of a round",
            box=SIMPLE_HEAD,
            title_justify="left",
            pad_edge=False,
        )
        for heading in ("", "each round", "median", "CPU", "upload"):
            table.add_column(heading, justify="right" if heading else "left", no_wrap=heading != "each round")
        for side, rounds in self.found.items():
            each = "  ".join(f"{seconds:.2f}" for seconds in rounds.wall_s)
            sent = readable_bytes(rounds.upload_bytes) if isinstance(rounds, SimulatedRounds) else "not counted"
            row = (f"{rounds.median_wall_s:.2f}", f"{rounds.median_cpu_s:.2f}", sent)
            table.add_row(self.engine.sides[side], each, *row)
        if self.ratios:
            times = (f"{ratio:.2f}×" if ratio else "" for ratio in self.ratios.values())
            table.add_row(f"ours ÷ {self.engine.name}'s", "", *times)
        return table


def compare(engine: Engine, task: Task, rounds: int, limit_s: float, move: Move) -> Comparison:
    """Run both sides, one after the other. A side that fails or takes too long is told of, not raised."""
    comparison = Comparison(engine, task, missing=engine.missing())
    task.check_fits()
    for done, (side, label) in enumerate(engine.sides.items() if not comparison.missing else ()):
        move(done, len(engine.sides), f"{label} in {engine.name}'s engine")
        try:
            comparison.found[side] = engine.run(side, task, rounds, limit_s)
        except EngineTimedOut as late:
            comparison.failures[side] = Status.TIMED_OUT, str(late)
        except EngineFailed as failure:
            comparison.failures[side] = Status.FAILED, str(failure)
    return comparison
