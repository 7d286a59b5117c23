"""`secagg identity`: a party's own signing key. The file is secret; the one line it prints is for the roster."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from secagg.cli.command import Commands
from secagg.cli.output import AsJson, console, print_json
from secagg_protocols.core.identity import Identity

app = Commands(help="Make and show this party's signing key.")


@app.command("new")
def new(
    name: Annotated[str, typer.Argument(help="What the roster calls this party, e.g. north-clinic.")],
    output: Annotated[Path | None, typer.Option("-o", "--output", help="By default NAME.identity.json.")] = None,
    ciphersuite: Annotated[Literal["x25519", "p256"], typer.Option(help="Named set of algorithms.")] = "x25519",
    as_json: AsJson = False,
) -> None:
    """Make a signing key. An existing file is never overwritten."""
    if not name or "=" in name or "/" in name:
        raise typer.BadParameter("the name may not be empty or hold '=' or '/'", param_hint="NAME")
    file = output if output is not None else Path(f"{name}.identity.json")
    identity = Identity.generate(name, ciphersuite)
    identity.save(file)
    _print(identity, file, as_json)


@app.command("show")
def show(
    file: Annotated[Path, typer.Argument(help="An identity file.")],
    as_json: AsJson = False,
) -> None:
    """Print the public half of an identity file again."""
    _print(Identity.load(file), file, as_json)


def _print(identity: Identity, file: Path, as_json: bool) -> None:
    public_key = identity.public_key.hex()
    target = console(as_json)
    target.print(f"{file} is secret: it stays with {identity.name}. For the roster, hand over this line:")
    target.print(f"{identity.name}={public_key}", soft_wrap=True)
    if as_json:
        fields: dict[str, Any] = {
            "name": identity.name,
            "file": str(file),
            "ciphersuite": identity.suite.name,
            "public_key": public_key,
        }
        print_json(fields)
