"""`secagg audit`: check the signed, hash-chained records of the rounds, also against another party's, and read them."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich import box
from rich.table import Table

from secagg.cli.command import Commands
from secagg.cli.options import with_options
from secagg.cli.output import AsJson, console, print_json
from secagg.cli.signed import Signed, whose
from secagg.round.audit import GENESIS, AuditError, Log, compare
from secagg.round.audit.trail import TRAIL
from secagg_protocols import InputError

COLUMNS = {
    "time (UTC)": 10,
    "job, round": None,
    "party": 5,
    "stage": 7,
    "scheme, server": 14,
    "in the sum": None,
    "refused": 7,
}
"""What is shown of a record → how wide: a date, or our longest word for it; None: what room there is."""

app = Commands(help="Check and read the signed records of the rounds.")

File = Annotated[Path, typer.Argument(help="An audit log.")]
Against = Annotated[
    list[Path] | None,
    typer.Option(
        "--against",
        metavar="OTHER",
        help="Another party's log, or a folder of *.jsonl; as often as needed.",
    ),
]


@app.command("verify")
@with_options
def verify_log(log: File, signed: Signed, against: Against = None, as_json: AsJson = False) -> None:
    """Check every signature and the chain; with --against, also that the logs of one round agree.

    The head is the last hash: compare it with what the peers hold.
    """
    checked, *others = signed.checked(TRAIL, log, *_others(log, against))
    last = checked.lines[-1].hash if checked.lines else GENESIS
    target = console(as_json)
    for one in (checked, *others):
        target.print(
            f"{one.path}: {len(one.lines)} records, each signed by {whose(one)}, none changed, moved or missing",
            soft_wrap=True,
        )
    _agree([checked, *others])
    if others:
        target.print(f"{len(others) + 1} logs agree on every round that they share", soft_wrap=True)
    target.print(f"head {last}", soft_wrap=True)
    if as_json:
        print_json(
            {
                "file": str(log),
                "records": len(checked.lines),
                "head": last,
                "against": [{"file": str(other.path), "records": len(other.lines)} for other in others],
            }
        )


@app.command("show")
@with_options
def show(log: File, signed: Signed, as_json: AsJson = False) -> None:
    """Check the log, then print who took part in each round and what came of it."""
    lines = signed.checked(TRAIL, log)[0].lines
    target = console(as_json)
    target.print(str(log), soft_wrap=True)
    target.print(_shown([line.record for line in lines]))
    if as_json:
        print_json({"file": str(log), "records": [{**line.record, "hash": line.hash} for line in lines]})


def _shown(records: Iterable[Mapping[str, Any]]) -> Table:
    """Return a line for each record, narrow enough for 80 columns: long words are folded, none is cut off."""
    table = Table(box=box.SIMPLE, padding=(0, 1, 0, 0))
    for heading, width in COLUMNS.items():
        table.add_column(heading, width=width, overflow="fold")
    for record in records:
        dropped = f", without {', '.join(record['dropped'])}" if record["dropped"] else ""
        table.add_row(
            record["time"].removesuffix("+00:00").replace("T", " "),
            f"{record['job']}, {record['round']}",
            "–" if record["party"] is None else str(record["party"]),
            record["stage"],
            f"{record['scheme']}, {record['adversary']}",
            f"{len(record['survivors'])} of {record['participants']}{dropped}",
            str(len(record["refusals"])),
        )
    return table


def _others(log: Path, against: Iterable[Path] | None) -> list[Path]:
    """Return the other logs, those in a folder by name."""
    found: list[Path] = []
    for given in against or ():
        within = sorted(given.glob("*.jsonl")) if given.is_dir() else [given]
        if not within:
            raise InputError(f"{given} holds no *.jsonl: give the folder of the other parties' logs, or the logs")
        found += within
    return [path for path in dict.fromkeys(found) if path.resolve() != log.resolve()]


def _agree(logs: Sequence[Log]) -> None:
    """Raise AuditError unless the logs agree."""
    if not (differences := compare(logs)):
        return
    first, *more = map(str, differences)
    others = f" (and {len(more)} more: {'; '.join(more[:3])})" if more else ""
    raise AuditError(f"{first}{others}; ask both writers for what they hold of it")
