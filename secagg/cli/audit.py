"""`secagg audit`: check the signed, hash-chained records of the rounds, also against another party's, and read them."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.table import Table

from secagg.cli.command import Commands
from secagg.cli.options import with_options
from secagg.cli.output import AsJson, console, print_json
from secagg.round.audit import GENESIS, AuditError, ChainError, Log, compare, verify
from secagg_protocols import InputError, Roster

app = Commands(help="Check and read the signed records of the rounds.")

Keys = Sequence[tuple[bytes, int | None]]
"""Public key → whose it is in the roster, where one is given."""


@dataclass(frozen=True, kw_only=True)
class Signed:
    """By whom a log must be signed, and what it must hold."""

    key: Annotated[
        list[str] | None,
        typer.Option("--key", metavar="KEY", help="A writer's public key; as often as there are writers."),
    ] = None
    roster: Annotated[Path | None, typer.Option("--roster", help="Or the roster that lists the writers' keys.")] = None
    ciphersuite: Annotated[
        Literal["x25519", "p256"],
        typer.Option(help="The writers' named set of algorithms, where no roster says it."),
    ] = "x25519"
    head: Annotated[
        str | None,
        typer.Option(
            metavar="HASH",
            help="The last hash that a peer holds: shows whether the end was cut off.",
        ),
    ] = None

    def keys(self) -> tuple[Keys, str]:
        """Return the keys that may have signed, and their ciphersuite."""
        keys = [(key, None) for key in self._given()]
        if self.roster is None:
            return keys, self.ciphersuite
        listed = Roster.load(self.roster)
        from_roster = [(entry.public_key, entry.id) for entry in listed.entries]
        return [*keys, *from_roster], listed.suite.name

    def _given(self) -> Iterator[bytes]:
        if not self.key and self.roster is None:
            raise typer.BadParameter("give the writer's public key, or the --roster that lists it", param_hint="--key")
        for text in self.key or ():
            try:
                yield bytes.fromhex(text)
            except ValueError:
                raise typer.BadParameter(f"{text!r} is not hexadecimal", param_hint="--key") from None


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
    keys, suite = signed.keys()
    checked = _checked(log, keys, suite, signed.head)
    last = checked.lines[-1].hash if checked.lines else GENESIS
    target = console(as_json)
    others = [_checked(other, keys, suite) for other in _others(log, against)]
    for one in (checked, *others):
        writer = "this key" if one.signer is None else f"party {one.signer} of the roster"
        target.print(
            f"{one.path}: {len(one.lines)} records, each signed by {writer}, none changed, moved or missing",
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
    keys, suite = signed.keys()
    lines = _checked(log, keys, suite, signed.head).lines
    columns = ("time", "job", "round", "party", "stage", "scheme", "server", "in the sum", "dropped", "refused")
    table = Table(*columns, title=str(log))
    for record in (line.record for line in lines):
        took_part = f"{len(record['survivors'])} of {record['participants']}"
        dropped = ", ".join(record["dropped"]) or "–"
        said = [record[name] for name in ("time", "job", "round", "party", "stage", "scheme", "adversary")]
        table.add_row(*map(str, said), took_part, dropped, str(len(record["refusals"])))
    console(as_json).print(table)
    if as_json:
        print_json({"file": str(log), "records": [{**line.record, "hash": line.hash} for line in lines]})


def _checked(path: Path, keys: Keys, ciphersuite: str, head: str | None = None) -> Log:
    """Return the verified log, by whichever key signed its first line. Raises AuditError for the first bad line,
    InputError when the log has another head."""
    key, signer = keys[0] if len(keys) == 1 else _writer(path, keys, ciphersuite)
    lines = list(verify(path, key, ciphersuite))
    if head is not None and head not in (line.hash for line in lines):
        raise InputError(f"{path} holds no record {head}; records at its end were removed, or it is another log")
    return Log(path, lines, signer)


def _writer(path: Path, keys: Keys, ciphersuite: str) -> tuple[bytes, int | None]:
    """Return the key that signed a log's first line. Raises AuditError when none did."""
    empty = True
    for key, signer in keys:
        try:
            for _ in verify(path, key, ciphersuite):
                return key, signer
        except ChainError:  # by this key it is signed; `verify` says what is missing before it
            return key, signer
        except AuditError:
            empty = False
            continue
    if empty:
        return keys[0][0], None
    raise AuditError(
        f"{path} line 1: changed, or signed by none of the {len(keys)} keys given; give its writer's with --key"
    )


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
