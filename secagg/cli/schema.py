"""`secagg schema`: what all sites agree on about the columns of their tables."""

import json
from pathlib import Path
from typing import Annotated

import typer

from secagg.cli.command import Commands
from secagg.cli.options import with_options
from secagg.cli.output import AsJson, console, print_json
from secagg.extras import needed
from secagg.train.data import Decimal, Ignored, Missing, Separator
from secagg_protocols.errors import InputError

app = Commands(help="The agreed ranges and categories of a table's columns.")


@app.command("draft")
@with_options
def draft(
    file: Annotated[Path, typer.Argument(help="A table, as a CSV file.")],
    output: Annotated[Path | None, typer.Option("-o", "--output", help="By default, stdout.")] = None,
    ignore: Ignored = (),
    separator: Separator = None,
    decimal: Decimal = ".",
    missing: Missing = (),
    as_json: AsJson = False,
) -> None:
    """Write a first schema from a table's rows, to be corrected by people. An existing file is never overwritten."""
    with needed("train"):
        from secagg.train.table.draft import draft_schema
        from secagg.train.table.reading import read_tables

    made = draft_schema(read_tables((str(file),), separator, missing), decimal, ignore)
    lines = [f"  {json.dumps(name)}: {json.dumps(entry)}" for name, entry in made.entries.items()]
    text = "{\n" + ",\n".join(lines) + "\n}\n"
    if output is not None:
        try:
            with output.open("x", encoding="utf-8") as written:
                written.write(text)
        except FileExistsError as error:
            raise InputError(f"{str(output)!r} is there already; give --output another name") from error
    elif not as_json:
        print(text, end="")
    people = console(as_json=True)
    for warning in made.warnings:
        people.print(f"warning: {warning}", soft_wrap=True)
    if as_json:
        print_json(
            {
                "schema": dict(made.entries),
                "warnings": list(made.warnings),
                "output": None if output is None else str(output),
            }
        )
