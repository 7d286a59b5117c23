"""The command `peers`: run everybody, show ratios."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Annotated, Any

import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table

from secagg.cli.options import with_options
from secagg.cli.output import AsJson, console, print_json, progress_bar, readable_bytes

from .engine import complete
from .engine_command import FLOWER, compare
from .runner import LONGEST_S, Contestant, Outcome, Status, line_up, ratios, run_one

ENGINE_ROUNDS = 3


@dataclass(frozen=True, kw_only=True)
class Round:
    """The round that everybody is measured in."""

    clients: Annotated[int, typer.Option(min=4, help="Participants.")] = 100
    length: Annotated[int, typer.Option(min=1, help="Coordinates of an update.")] = 100_000
    dropped: Annotated[int, typer.Option(min=0, help="How many drop out before they upload.")] = 10
    neighbours: Annotated[int, typer.Option(min=2, help="Of a participant, on the sparse graph.")] = 20
    threshold: Annotated[int, typer.Option(min=2, help="Of the shares of a secret, on the sparse graph.")] = 11

    def line_up(self) -> list[Contestant]:
        """Return the contestants. Raises `typer.BadParameter` when too many drop out for one of them."""
        contestants = line_up(self.clients, self.length, self.dropped, self.neighbours, self.threshold)
        most = self.clients - max(contestant.task.threshold for contestant in contestants)
        if self.dropped > most:
            raise typer.BadParameter(f"at most {most} of {self.clients} may drop out", param_hint="--dropped")
        return contestants


@with_options
def run_peers(
    asked: Round,
    only: Annotated[
        list[str] | None, typer.Option(help="flower, flare or naive; may be repeated. Ours always runs.")
    ] = None,
    limit: Annotated[float, typer.Option(min=1, max=LONGEST_S, help="Seconds for one contestant, then killed.")] = 900,
    engine_nodes: Annotated[
        int, typer.Option(min=0, help="Nodes for whole rounds in Flower's own engine (4 or more); 0 leaves them out.")
    ] = 10,
    as_json: AsJson = False,
) -> None:
    """Compare with Flower's SecAgg+, FLARE's HE and naive masking on this machine. Ratios to ours are the result."""
    contestants = asked.line_up()
    for contestant in contestants:
        contestant.task.check_fits()
    known = {contestant.module for contestant in contestants} - {"ours"}
    if only and not set(only) <= known:
        raise typer.BadParameter(f"choose among {', '.join(sorted(known))}", param_hint="--only")
    wanted = {*(only or known), "ours"}
    contestants = [contestant for contestant in contestants if contestant.module in wanted]
    if 0 < engine_nodes < 4:
        raise typer.BadParameter("0, or 4 and more", param_hint="--engine-nodes")
    told = console(as_json)
    outcomes = []
    engine = None
    if asked.neighbours >= asked.clients - 1:
        told.print(f"No sparse graph: {asked.neighbours} neighbours need more than {asked.neighbours + 1} clients.")
    with progress_bar() as move:
        for done, contestant in enumerate(contestants):
            move(done, len(contestants), contestant.label)
            outcomes.append(run_one(contestant, limit))
        if engine_nodes and "flower" in wanted:
            task = complete(engine_nodes, asked.length)
            engine = compare(FLOWER, task, ENGINE_ROUNDS, limit, move)
    if as_json:
        found = {"clients": asked.clients, "length": asked.length, "dropped": asked.dropped}
        engine_fields = engine.fields() if engine else None
        print_json({**found, "peers": _fields(outcomes), "engine": engine_fields})
    else:
        title = f"{asked.clients} clients, {asked.length:,} coordinates, {asked.dropped} dropped"
        told.print(_table(outcomes, f"{title}; CPU time; ratios to ours"))
    for outcome in outcomes:
        if outcome.status is not Status.MEASURED:
            told.print(f"{outcome.contestant.label}: {outcome.status.value}: {outcome.reason}", soft_wrap=True)
    if engine:
        engine.tell(told, table=not as_json)
    broken = any(outcome.status in (Status.FAILED, Status.TIMED_OUT) for outcome in outcomes)
    if broken or (engine and engine.failures):
        raise typer.Exit(1)


def _fields(outcomes: list[Outcome]) -> list[dict[str, Any]]:
    return [
        {
            "name": outcome.contestant.label,
            "neighbours": outcome.contestant.task.neighbours,
            "threshold": outcome.contestant.task.threshold,
            "against": outcome.contestant.against,
            "status": outcome.status.value,
            "reason": outcome.reason,
            "cost": asdict(outcome.cost) if outcome.cost else None,
            "ratios": asdict(found) if (found := ratios(outcome, outcomes)) else None,
        }
        for outcome in outcomes
    ]


def _table(outcomes: list[Outcome], title: str) -> Table:
    table = Table(title=title, box=SIMPLE_HEAD, title_justify="left", pad_edge=False)
    for heading in ("", "client ms", "ratio", "server ms", "ratio", "upload", "ratio"):
        table.add_column(heading, justify="right" if heading else "left", no_wrap=True)
    for outcome in outcomes:
        cost = outcome.cost
        found = ratios(outcome, outcomes)
        if cost is None:
            table.add_row(outcome.contestant.label, outcome.status.value)
            continue
        client, server, upload = (times(r) for r in (found.client, found.server, found.upload)) if found else "???"
        table.add_row(
            outcome.contestant.label,
            f"{cost.client_ms:,.1f}",
            client,
            f"{cost.server_ms:,.0f}",
            server,
            readable_bytes(cost.upload_bytes),
            upload,
        )
    return table


def times(ratio: float) -> str:
    """Return a ratio as people read it: two digits below ten, whole numbers above."""
    return f"{ratio:.2g}×" if ratio < 10 else f"{ratio:,.0f}×"
