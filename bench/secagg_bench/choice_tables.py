"""The tables and the JSON of `secagg bench schemes`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

from secagg.cli.output import readable_bytes

from .choice import promise_of, vector_bytes
from .peers.runner import Outcome, ratios
from .peers.task import Cost

DASH = "–"

Words = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Sheet:
    """A table for people, on a terminal and in Markdown. The first column is the contestant."""

    title: str
    headings: Words
    rows: tuple[Words, ...]

    def markdown(self) -> str:
        """Return the table as Markdown, under its title."""
        lines = [f"**{self.title}**", "", _row(self.headings), "|---" + "|---:" * (len(self.headings) - 1) + "|"]
        return "\n".join([*lines, *map(_row, self.rows)])


def _row(cells: Words) -> str:
    return f"| {' | '.join(cells)} |"


def tables(outcomes: list[Outcome]) -> tuple[Sheet, ...]:
    """Return the tables: bytes, CPU time, what it gives, and which bytes go when."""
    return _bytes(outcomes), _times(outcomes), _promises(outcomes), _traffic(outcomes)


def _bytes(outcomes: list[Outcome]) -> Sheet:
    def row(outcome: Outcome, cost: Cost) -> Iterator[str]:
        length = outcome.contestant.task.length
        vector = vector_bytes(outcome)
        found = ratios(outcome, outcomes)
        yield f"{vector / length:.2f}"
        yield readable_bytes(cost.upload_bytes - vector)
        yield f"{(cost.download_bytes or 0) / length:.2f}"
        yield _share(found.upload if found else None)

    headings = ("upload B/value", "other sent", "download B/value", "sent ÷ FLARE")
    return _sheet("Bytes", headings, outcomes, row)


def _times(outcomes: list[Outcome]) -> Sheet:
    def row(outcome: Outcome, cost: Cost) -> Iterator[str]:
        yield from (f"{ms:,.1f}" for ms in (cost.client_ms, cost.encrypt_ms or 0, cost.server_ms))
        found = ratios(outcome, outcomes)
        yield from map(_share, (found.client, found.server) if found else (None, None))

    headings = ("client ms", "encrypt ms", "server ms", "client ÷ FLARE", "server ÷ FLARE")
    return _sheet("CPU time", headings, outcomes, row)


def _promises(outcomes: list[Outcome]) -> Sheet:
    def row(outcome: Outcome, cost: Cost) -> Iterator[str]:
        promise = promise_of(outcome.contestant)
        yield from (str(promise.round_trips), promise.sums, f"{cost.max_abs_error:.1e}")
        yield from (promise.opened_by, promise.result)

    headings = ("round trips", "sums", "error of the mean", "one vector is opened by", "the sum goes to")
    return _sheet("What it gives", headings, outcomes, row)


def _traffic(outcomes: list[Outcome]) -> Sheet:
    rows = tuple(
        (outcome.contestant.label, step, f"{outcome.cost.received_by_step.get(step, 0):,.0f}", f"{sent:,.0f}")
        for outcome in outcomes
        if outcome.cost is not None
        for step, sent in outcome.cost.sent_by_step.items()
    )
    return Sheet("Bytes of one participant by step", ("", "step", "received", "then sent"), rows)


def _sheet(
    title: str, headings: Words, outcomes: list[Outcome], row: Callable[[Outcome, Cost], Iterator[str]]
) -> Sheet:
    cells = [
        tuple(row(outcome, outcome.cost))
        if outcome.cost is not None
        else (outcome.status.value, *(DASH,) * (len(headings) - 1))
        for outcome in outcomes
    ]
    labels = [outcome.contestant.label for outcome in outcomes]
    return Sheet(title, ("", *headings), tuple((label, *rest) for label, rest in zip(labels, cells, strict=True)))


def _share(ratio: float | None) -> str:
    if ratio is None:
        return DASH
    return f"{ratio:.2f}" if ratio < 10 else f"{ratio:,.0f}"


def as_json(outcomes: list[Outcome]) -> list[dict[str, Any]]:
    """Return every outcome as a program reads it."""
    return [_fields(outcome, outcomes) for outcome in outcomes]


def _fields(outcome: Outcome, outcomes: list[Outcome]) -> dict[str, Any]:
    contestant = outcome.contestant
    cost = outcome.cost
    found = ratios(outcome, outcomes)
    fields = {
        "name": contestant.label,
        "status": outcome.status.value,
        "reason": outcome.reason,
        "threshold": contestant.task.threshold or None,
        "losses": dict(contestant.task.losses),
    }
    if cost is None:
        return fields
    return fields | {
        "vector_bytes": vector_bytes(outcome),
        "cost": asdict(cost),
        "promise": asdict(promise_of(contestant)),
        "ratios": {"client": found.client, "server": found.server, "sent": found.upload} if found else None,
    }
