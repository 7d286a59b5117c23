"""`secagg flare`: what a site of NVIDIA FLARE needs once, in its own folder, so that no job gets its updates alone."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from secagg.adapters import flare_parts
from secagg.cli.command import Commands
from secagg.cli.options import with_options
from secagg.cli.output import AsJson, console, print_json
from secagg.round import SitePolicy
from secagg_protocols import InputError, ParameterError
from secagg_protocols.core.storage import make_folder, write_new

app = Commands(help="Set up a site of NVIDIA FLARE.")


@dataclass(frozen=True, kw_only=True)
class Floor:
    """What this site asks of every sum, and its own files."""

    minimum_cohort: Annotated[
        int, typer.Option(min=2, help="Fewest honest participants in any sum, this site included.")
    ] = 3
    colluders: Annotated[int, typer.Option(min=0, help="How many others it wants to be safe from.")] = 0
    adversary: Annotated[
        Literal["semi-honest", "active"], typer.Option(help="The weakest server model that it accepts.")
    ] = "semi-honest"
    roster: Annotated[Path | None, typer.Option(help="Who may take part; needed for active.")] = None
    identity: Annotated[Path | None, typer.Option(help="This site's signing key; needed for active.")] = None
    group_key: Annotated[Path | None, typer.Option(help="The key that sites of bfv and ckks share.")] = None
    store: Annotated[Path | None, typer.Option(help="Where its answers are kept; by default local/secagg/store.")] = (
        None
    )
    audit: Annotated[Path | None, typer.Option(help="This site's signed log of every round; needs --identity.")] = None

    def policy(self) -> dict[str, Any]:
        """Return it as `policy.json` has it: what was named from the root, and else relative to that file, so that a
        kit can be moved. Raises `typer.BadParameter`."""
        if self.adversary == "active":
            for name, file in (("--roster", self.roster), ("--identity", self.identity)):
                if file is None:
                    raise typer.BadParameter("active needs this site's own roster and identity", param_hint=name)
        files = {"roster": self.roster, "identity": self.identity, "group-key": self.group_key, "audit": self.audit}
        given = {name: str(file.resolve()) for name, file in files.items() if file is not None}
        return {
            "minimum-cohort": self.minimum_cohort,
            "colluders": self.colluders,
            "adversary": self.adversary,
            "store": "store" if self.store is None else str(self.store.resolve()),
            **given,
        }


@app.command("site")
@with_options
def site(
    workspace: Annotated[Path, typer.Argument(help="The folder of this site's startup kit.")],
    floor: Floor,
    as_json: AsJson = False,
) -> None:
    """Write local/secagg/policy.json and local/privacy.json, so that every job here gets secure sums or nothing.

    Run it as the account that FLARE's client runs under. A file that is there is never changed: if it will do, it
    stays; if not, this says what to merge by hand.
    """
    local = workspace / "local"
    if not local.is_dir() or not (workspace / "startup" / "fed_client.json").is_file():
        raise typer.BadParameter(
            f"{workspace} is no site's kit: it has no local or no startup/fed_client.json", param_hint="WORKSPACE"
        )
    policy_file = local / "secagg" / "policy.json"
    parts_file = local / flare_parts.NAME
    held = flare_parts.read(policy_file)
    parts = flare_parts.read(parts_file)
    if parts is not None:
        _check_parts(parts, parts_file)
    policy = _policy(floor, held, policy_file)
    make_folder(policy_file.parent)
    made = {policy_file: policy if held is None else None, parts_file: flare_parts.made() if parts is None else None}
    target = console(as_json)
    for file, content in made.items():
        if content is not None:
            write_new(file, json.dumps(content, indent=2))
        target.print(f"{file}: {'it will do, and stays as it was' if content is None else 'written'}", soft_wrap=True)
    target.print("Start this site's client again: from then on every job here gets secure sums or nothing.")
    if as_json:
        written = [str(file) for file, content in made.items() if content is not None]
        print_json({"policy": policy, "files": [str(file) for file in made], "written": written})


def _policy(floor: Floor, held: dict[str, Any] | None, file: Path) -> dict[str, Any]:
    """Return what is in force: what the file holds, or what was asked for. Raises what is wrong with it."""
    wanted = floor.policy()
    if held is not None and held != wanted and floor != Floor():
        raise InputError(f"{file} is there and is not changed; what was asked for is {json.dumps(wanted)}")
    if held is not None:
        SitePolicy.load(file)
        return held
    SitePolicy.read(wanted, prefix="", where=str(file), folder=file.parent)
    return wanted


def _check_parts(parts: dict[str, Any], file: Path) -> None:
    """Raise `InputError` with what is to be merged where a file will not do."""
    try:
        flare_parts.check(parts)
    except ParameterError as missing:
        raise InputError(f"{file} is there and is not changed ({missing}): {flare_parts.to_merge()}") from None
