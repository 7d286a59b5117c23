"""`secagg roster`: the list of who may take part, which every party pins and the server never supplies."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.table import Table

from secagg.cli.command import Commands
from secagg.cli.options import with_options
from secagg.cli.output import AsJson, console, print_json
from secagg_protocols.core.identity import Identity, PublicIdentity, Roster
from secagg_protocols.errors import SERVER, ParameterError

app = Commands(help="Make and show the list of who may take part.")


@dataclass(frozen=True, kw_only=True)
class Listed:
    """Who is on a roster, with which keys, and until when."""

    participants: Annotated[
        list[str],
        typer.Argument(metavar="NAME=KEY…", help="As `secagg identity new` printed them; ids follow the order."),
    ]
    server: Annotated[str, typer.Option(metavar="NAME=KEY", help="The server's line.")]
    output: Annotated[Path, typer.Option("-o", "--output", help="The roster file to write.")]
    ciphersuite: Annotated[Literal["x25519", "p256"], typer.Option(help="Named set of algorithms.")] = "x25519"
    not_after: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="All keys end then, e.g. 2030-01-01T00:00:00+00:00."),
    ] = None

    def roster(self) -> Roster:
        """Make it. Raises `typer.BadParameter`, `InputError`."""
        if self.output.exists():
            raise typer.BadParameter(f"{self.output} exists; choose another file", param_hint="--output")
        _check_time(self.not_after)
        lines = [self.server, *self.participants]
        entries = [_entry(party, line, self.not_after) for party, line in enumerate(lines, start=SERVER)]
        return Roster.of(self.ciphersuite, entries)


@app.command("new")
@with_options
def new(
    listed: Listed,
    sign_with: Annotated[
        Path | None, typer.Option(help="Identity file of the consortium that signs the roster.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write a roster from the parties' public lines. It holds no secret."""
    roster = listed.roster()
    roster.save(listed.output, Identity.load(sign_with) if sign_with is not None else None)
    _print(roster, listed.output, as_json)


@app.command("show")
def show(
    file: Annotated[Path, typer.Argument(help="A roster file.")],
    consortium_key: Annotated[
        str | None, typer.Option(metavar="KEY", help="Check the consortium's signature by this public key.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Print a roster and its digest, which all parties should compare over another channel."""
    key = _key(consortium_key, "--consortium-key") if consortium_key is not None else None
    _print(Roster.load(file, key), file, as_json)


def _entry(party: int, line: str, not_after: str | None) -> PublicIdentity:
    name, equals, key = line.rpartition("=")
    if not equals or not name:
        raise typer.BadParameter(f"{line!r} is not NAME=KEY, as `secagg identity new` prints it")
    return PublicIdentity(party, name, _key(key, name), None, not_after)


def _check_time(text: str | None) -> None:
    try:
        timed = text is None or datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        timed = False
    if not timed:
        raise typer.BadParameter(f"{text!r} is not an ISO 8601 time with its offset from UTC", param_hint="--not-after")


def _key(text: str, whose: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise typer.BadParameter(f"the key of {whose} is not hexadecimal: {text!r}") from None


def _print(roster: Roster, file: Path, as_json: bool) -> None:
    table = Table(title=str(file))
    for column in ("id", "name", "public key", "valid until"):
        table.add_column(column, overflow="fold")
    for entry in roster.entries:
        table.add_row(str(entry.id), entry.name, entry.public_key.hex(), entry.not_after or "no limit")
    target = console(as_json)
    target.print(table)
    for entry in roster.entries:
        try:
            entry.check_valid_at(datetime.now(UTC))
        except ParameterError as ended:
            target.print(f"no round takes this roster now: {ended}", soft_wrap=True)
    target.print(f"digest {roster.digest.hex()}", soft_wrap=True)
    if as_json:
        print_json(
            {
                "file": str(file),
                "ciphersuite": roster.suite.name,
                "digest": roster.digest.hex(),
                "participants": len(roster.participants),
                "entries": [
                    {
                        "id": entry.id,
                        "name": entry.name,
                        "public_key": entry.public_key.hex(),
                        "not_before": entry.not_before,
                        "not_after": entry.not_after,
                    }
                    for entry in roster.entries
                ],
            }
        )
