"""The commands, joined."""

from functools import cache
from importlib.metadata import entry_points, version
from typing import Annotated

import click
import typer

from secagg.cli import (
    audit,
    flare,
    group_key,
    identity,
    join,
    privacy,
    roster,
    schema,
    schemes,
    serve,
    simulate,
    stats,
    train,
)
from secagg.cli.command import Commands

app = Commands(
    help="Secure aggregation for federated learning: learn the sum, and nothing about any one participant.",
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command("simulate")(simulate.simulate)
app.command("train")(train.train)
app.command("serve")(serve.serve)
app.command("join")(join.join)
app.command("schemes")(schemes.schemes)
app.add_typer(identity.app, name="identity")
app.add_typer(roster.app, name="roster")
app.add_typer(group_key.app, name="group-key")
app.add_typer(audit.app, name="audit")
app.add_typer(privacy.app, name="privacy")
app.add_typer(schema.app, name="schema")
app.add_typer(flare.app, name="flare")
app.add_typer(stats.app, name="stats")
# Packages above this one bring commands of their own: secagg imports nothing from there.
for entry in sorted(entry_points(group="secagg.commands"), key=lambda entry: entry.name):
    app.add_typer(entry.load(), name=entry.name)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(version("secagg"))
        raise typer.Exit


@cache
def command() -> click.Command:
    """Return all of it as one command."""
    return typer.main.get_command(app)


@app.callback()
def options(
    _: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and leave.")
    ] = False,
) -> None:
    """Options that stand before the command."""
