"""`secagg join`: one site of a query, which polls its coordinator outwards."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import click
import typer

from secagg.cli.options import with_options
from secagg.cli.output import console
from secagg.extras import needed
from secagg.round.keys import PREFIX, Value
from secagg.train.data import Decimal, Missing, Separator
from secagg_protocols import InputError, ParameterError, StateError
from secagg_protocols.core import strict_json

TAKEN_FROM_OPTIONS = ("identity", "roster")


@dataclass(frozen=True, kw_only=True)
class Own:
    """What belongs to the site."""

    identity: Annotated[Path, typer.Option(help="This site's own identity file.")]
    roster: Annotated[Path, typer.Option(help="The roster that all parties have.")]
    data: Annotated[Path, typer.Option(help="This site's table, a CSV file.")]
    policy: Annotated[Path, typer.Option(help="This site's policy, a JSON object of keys and values.")]
    tls_cert: Annotated[
        Path | None,
        typer.Option(help="The coordinator's certificate, and no other; by default what this machine trusts."),
    ] = None

    separator: Separator = None
    decimal: Decimal = "."
    missing: Missing = ()

    def keys(self) -> dict[str, Value]:
        """Return the policy's keys, with what the options say. Raises `InputError`, `ParameterError`."""
        given = _read(self.policy)
        for name in TAKEN_FROM_OPTIONS:
            if PREFIX + name in given:
                raise ParameterError(f"{PREFIX}{name} in {self.policy} is --{name} here: leave it out of the file")
        said = {f"{PREFIX}{name}": str(getattr(self, name)) for name in TAKEN_FROM_OPTIONS}
        return {f"{PREFIX}adversary": "active", **given, **said}


Url = Annotated[str, typer.Argument(help="The coordinator, https://HOST:PORT.", metavar="URL")]
Ask = Annotated[bool, typer.Option("--ask", help="Show each query in words, and answer it once a person has said yes.")]
Once = Annotated[bool, typer.Option("--once", help="Leave when the coordinator asks nothing more.")]


@with_options
def join(url: Url, own: Own, ask: Ask = False, once: Once = False) -> None:
    """Answer a coordinator's queries from this site's table, as far as this site's policy allows.

    It calls the coordinator and is never called. Killed and started again, it goes on where it was.
    """
    with needed("service"):
        from secagg.service.calls import Caller
        from secagg.service.joining import Coordinator
        from secagg.service.joining import join as answer
        from secagg.service.tls import pinned_context
    with needed("stats"):
        from secagg.stats.floor import StatPolicy
        from secagg.stats.rows import CsvFile
        from secagg.stats.site import StatSite
    if ask and not sys.stdin.isatty():
        raise ParameterError("--ask waits for a person, and nobody sits at a terminal here: leave it out")
    policy = StatPolicy.read(own.keys(), where=str(own.policy))
    if policy.site.identity is None or policy.site.roster is None or policy.site.store is None:
        raise ParameterError(f"{PREFIX}store is missing in {own.policy}: give a folder for what this site answers")
    if not own.data.is_file():
        raise InputError(f"{own.data} (--data) is no file; give this site's table, a CSV file")
    table = CsvFile(own.data, own.separator, own.decimal, own.missing)
    table.texts()  # one that cannot be read is told now, and not with the first query
    target = console(False)
    caller = Caller(policy.site.identity, policy.site.roster)
    coordinator = Coordinator(url, caller, pinned_context(own.tls_cert, datetime.now(UTC)))
    site = StatSite(policy, table, ask=_person if ask else None)
    say = _saying(target.print)
    say(f"{caller.entry.name}, participant {caller.entry.id} of the roster, joins {url}")
    try:
        answer(coordinator, site.take, once=once, say=say)
    except (KeyboardInterrupt, click.Abort):
        raise StateError(f"stopped; the same command goes on where this one was ({PREFIX}store)") from None


def _saying(show: Callable[..., None]) -> Callable[[str], None]:
    return lambda text: show(f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S}Z {text}", soft_wrap=True)


def _person(words: str) -> bool:
    """Show a query, and ask whether to answer it."""
    typer.echo("".join(sign if sign.isprintable() or sign == "\n" else " " for sign in words))
    return typer.confirm("Answer it?", default=False)


def _read(path: Path) -> dict[str, Value]:
    try:
        read = strict_json.loads(path.read_bytes())
    except OSError as error:
        raise InputError(f"{path} (--policy) cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise InputError(f"{path} (--policy) is no JSON: {error}") from None
    if not isinstance(read, dict):
        raise InputError(f"{path} (--policy) is no JSON object of keys and values")
    for key, value in read.items():
        if not key.startswith(PREFIX):
            raise ParameterError(f"{key!r} in {path} (--policy) is no key: they begin with {PREFIX}")
        if not isinstance(value, bool | float | int | str):
            raise ParameterError(f"{key} in {path} (--policy) is no text, number, true or false")
    return read
