"""`secagg audit`: check the signed, hash-chained record of the rounds, and read it."""

from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.table import Table

from secagg.audit import GENESIS, AuditLine, verify
from secagg.cli.output import AsJson, console, print_json
from secagg_protocols import InputError

app = typer.Typer(help="Check and read the signed record of the rounds.", no_args_is_help=True)

Log = Annotated[Path, typer.Argument(help="An audit log.")]
Key = Annotated[str, typer.Option(metavar="KEY", help="The writer's public key, from the roster.")]
Ciphersuite = Annotated[Literal["x25519", "p256"], typer.Option(help="The writer's named set of algorithms.")]
Head = Annotated[
    str | None, typer.Option(metavar="HASH", help="The last hash that a peer holds: shows whether the end was cut off.")
]


@app.command("verify")
def verify_log(
    log: Log, key: Key, ciphersuite: Ciphersuite = "x25519", head: Head = None, as_json: AsJson = False
) -> None:
    """Check every signature and the chain. The head is the last hash: compare it with what the peers hold."""
    lines = _checked(log, key, ciphersuite, head)
    last = lines[-1].hash if lines else GENESIS
    target = console(as_json)
    target.print(
        f"{log}: {len(lines)} records, each signed by this key, none changed, moved or missing", soft_wrap=True
    )
    target.print(f"head {last}", soft_wrap=True)
    if as_json:
        print_json({"file": str(log), "records": len(lines), "head": last})


@app.command("show")
def show(log: Log, key: Key, ciphersuite: Ciphersuite = "x25519", head: Head = None, as_json: AsJson = False) -> None:
    """Check the log, then print who took part in each round and what came of it."""
    lines = _checked(log, key, ciphersuite, head)
    table = Table("time", "job", "round", "scheme", "server", "in the sum", "dropped", "refused", title=str(log))
    for record in (line.record for line in lines):
        took_part = f"{len(record['survivors'])} of {record['participants']}"
        dropped = ", ".join(record["dropped"]) or "–"
        cells = [record["time"], record["job"], record["round"], record["scheme"], record["adversary"], took_part]
        table.add_row(*map(str, cells), dropped, str(len(record["refusals"])))
    console(as_json).print(table)
    if as_json:
        print_json({"file": str(log), "records": [{**line.record, "hash": line.hash} for line in lines]})


def _checked(log: Path, key: str, ciphersuite: str, head: str | None) -> list[AuditLine]:
    """Return the verified lines. Raises AuditError for the first bad one, InputError when the log has another head."""
    try:
        public_key = bytes.fromhex(key)
    except ValueError:
        raise typer.BadParameter(f"{key!r} is not hexadecimal", param_hint="--key") from None
    lines = list(verify(log, public_key, ciphersuite))
    if head is not None and head not in (line.hash for line in lines):
        raise InputError(f"{log} holds no record {head}; records at its end were removed, or it is another log")
    return lines
