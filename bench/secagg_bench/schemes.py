"""The command `schemes`: what each scheme costs and gives, beside FLARE's own encryption, in one run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from secagg.cli.options import with_options
from secagg.cli.output import AsJson, console, print_json, progress_bar
from secagg.schemes import SCHEMES
from secagg_protocols import ParameterError

from .choice import FLARE, LAST, choices, line_up
from .choice_tables import Sheet, as_json, tables
from .overhead import machine
from .peers.runner import LONGEST_S, Outcome, Status, run_one
from .peers.task import Task


@dataclass(frozen=True, kw_only=True)
class Round:
    """The round that every scheme is measured in."""

    clients: Annotated[int, typer.Option(min=3, help="Participants.")] = 5
    length: Annotated[int, typer.Option(min=1, help="Coordinates of an update.")] = 1_000_000
    dropped: Annotated[int, typer.Option(min=0, help="How many drop out before they upload.")] = 0
    drop: Annotated[
        list[str] | None,
        typer.Option(
            metavar="STEP=COUNT",
            help="COUNT more drop out before this step's message ('last': each scheme's last); may be repeated.",
        ),
    ] = None
    bits: Annotated[int, typer.Option(min=1, max=32, help="Bits of a coordinate.")] = 16
    threshold: Annotated[int | None, typer.Option(min=2, help="How many must finish; by default derived.")] = None

    @property
    def task(self) -> Task:
        """What every contestant is given."""
        return Task(self.clients, self.length, self.dropped, self.clients - 1, self.threshold or 0, self.bits)


@with_options
def run_schemes(
    asked: Round,
    only: Annotated[list[str] | None, typer.Option(metavar="SCHEME", help="Only this one; may be repeated.")] = None,
    limit: Annotated[float, typer.Option(min=1, max=LONGEST_S, help="Seconds for one contestant, then killed.")] = 900,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print the tables as Markdown.")] = False,
    as_json_object: AsJson = False,
) -> None:
    """Help choose a scheme: bytes, CPU time, round trips, exactness and trust, and ratios to FLARE's encryption."""
    if only and not set(only) <= set(SCHEMES):
        raise typer.BadParameter(f"choose among {', '.join(SCHEMES)}", param_hint="--only")
    names = [name for name in SCHEMES if name in only] if only else list(choices())
    losses = parse_losses(asked.drop or [])
    asked.task.check_fits()
    outcomes = _measured(names, asked.task, losses, limit)
    title = caption(asked.task, losses, outcomes)
    if as_json_object:
        settings = {
            "clients": asked.clients,
            "length": asked.length,
            "bits": asked.bits,
            "dropped": asked.dropped,
            "drop": losses,
        }
        print_json({**settings, "machine": machine(), "schemes": as_json(outcomes)})
    elif markdown:
        print("\n\n".join([title, *(sheet.markdown() for sheet in tables(outcomes))]))
    else:
        _print(console(False), title, tables(outcomes))
    told = console(as_json_object or markdown)
    for outcome in outcomes:
        if outcome.status is not Status.MEASURED:
            told.print(f"{outcome.contestant.label}: {outcome.status.value}: {outcome.reason}", soft_wrap=True)
    if any(outcome.status in (Status.FAILED, Status.TIMED_OUT) for outcome in outcomes):
        raise typer.Exit(1)


def _measured(names: list[str], task: Task, losses: dict[str, int], limit_s: float) -> list[Outcome]:
    """Run FLARE's encryption and the schemes of these names, in that order; those that cannot be run are told of."""
    try:
        contestants, outcomes = line_up(names, task, losses)
    except ParameterError as refusal:
        raise typer.BadParameter(str(refusal)) from None
    with progress_bar() as move:
        for done, contestant in enumerate(contestants):
            move(done, len(contestants), contestant.label)
            outcomes.append(run_one(contestant, limit_s))
    order = [FLARE, *names]
    return sorted(outcomes, key=lambda outcome: order.index(outcome.contestant.label))


def parse_losses(given: list[str]) -> dict[str, int]:
    """Return step → how many drop out before its message. Raises `typer.BadParameter`."""
    losses: dict[str, int] = {}
    for entry in given:
        step, _, number = entry.partition("=")
        if not (step and number.isascii() and number.isdigit()):
            raise typer.BadParameter(f"{entry!r} is not STEP=COUNT, e.g. last=1", param_hint="--drop")
        losses[step] = losses.get(step, 0) + int(number)
    return losses


def caption(task: Task, losses: dict[str, int], outcomes: list[Outcome]) -> str:
    """Return one sentence on what was measured, where and with which versions."""
    lost = [f"{task.dropped} lost before the upload"] if task.dropped else []
    for step, count in losses.items():
        lost.append(f"{count} lost before {'the last step' if step == LAST else step}")
    versions = {outcome.contestant.module: outcome.cost.version for outcome in outcomes if outcome.cost}
    named = [f"secagg {versions['ours']}"] if "ours" in versions else []
    named += [f"FLARE {versions['flare']}"] if "flare" in versions else []
    said = [
        f"{task.clients} participants",
        f"{task.length:,} values of {task.value_bits} bits",
        *(lost or ["none lost"]),
    ]
    return f"{', '.join(said)}; CPU times on {machine()}; {', '.join(named)}."


def _print(target: Console, title: str, sheets: tuple[Sheet, ...]) -> None:
    target.print(title, soft_wrap=True)
    for sheet in sheets:
        table = Table(title=sheet.title, box=SIMPLE_HEAD, title_justify="left", pad_edge=False)
        for heading in sheet.headings:
            table.add_column(heading, justify="right" if heading else "left", no_wrap=not heading)
        for row in sheet.rows:
            table.add_row(*row)
        target.print(table)
