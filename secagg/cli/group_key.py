"""`secagg group-key`: the key that the participants of bfv and ckks share. Made once, sealed for each of the others.

One participant makes it (`new`); each of the others asks (`request`), is answered (`seal`) and opens the answer
(`open`). What travels in between opens nothing and may go any way; with identities and a roster it is signed.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from secagg.cli.choice import SchemeChoice
from secagg.cli.command import Commands
from secagg.cli.options import with_options
from secagg.cli.output import AsJson, console, print_json
from secagg.schemes import parameters_of
from secagg_he import Bfv, Ckks, GroupKey, GroupKeyHandle
from secagg_he.delivery import Party, open_sealed, request, seal_for
from secagg_he.releases import FileReleases
from secagg_protocols.core.identity import Identity, Roster
from secagg_protocols.core.storage import read_own, write_new
from secagg_protocols.errors import InputError
from secagg_protocols.primitives.domain import MAX_ID
from secagg_protocols.primitives.suites import suite_named

_KINDS = {kind.name: kind for kind in (Bfv, Ckks)}

app = Commands(help="Make, show and deliver the key that participants of bfv and ckks share.")

Output = Annotated[Path, typer.Option("-o", "--output", help="The key file to write.")]


@dataclass(frozen=True, kw_only=True)
class Site:
    """Who runs this."""

    participant: Annotated[
        int,
        typer.Option(
            "--participant",
            min=1,
            max=MAX_ID,
            help="This site's number: its roster id, where there is one.",
        ),
    ]
    identity: Annotated[Path | None, typer.Option("--identity", help="This site's identity file: signs.")] = None
    roster: Annotated[
        Path | None,
        typer.Option("--roster", help="The roster: checks the other site's signature."),
    ] = None
    ciphersuite: Annotated[
        Literal["x25519", "p256"],
        typer.Option(help="Named set of algorithms; a roster's own stands."),
    ] = "x25519"

    def party(self) -> Party:
        """Load what was named. Raises `InputError`."""
        listed = Roster.load(self.roster) if self.roster is not None else None
        identity = Identity.load(self.identity) if self.identity is not None else None
        suite = listed.suite if listed is not None else suite_named(self.ciphersuite)
        return Party(self.participant, suite, identity, listed)


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What a key is for."""

    participants: Annotated[int, typer.Option(min=2, help="How many sites will ever hold the key, at most.")]
    length: Annotated[int, typer.Option(min=1, help="Values in the longest vector.")]
    scheme: Annotated[str, typer.Option(click_type=SchemeChoice(_KINDS), help="The protocol.")] = "bfv"
    bits: Annotated[int, typer.Option(min=1, max=63, help="Bits of each value.")] = 16
    releases: Annotated[int | None, typer.Option(help="Sums that each site may release; 1000 if not said.")] = None
    flooding_bits: Annotated[int | None, typer.Option(help="Statistical security of them; 30 if not said.")] = None
    raw_precision: Annotated[
        int, typer.Option(min=0, help="ckks: leave errors of up to so much in sums; no codec takes such.")
    ] = 0
    release_to: Annotated[Literal["server", "participants"], typer.Option(help="Who gets the sums.")] = "server"

    def make(self) -> tuple[GroupKey, GroupKeyHandle]:
        """Make a key, and the handle that the server needs."""
        if self.raw_precision and "raw_precision" not in parameters_of(self.scheme):
            raise typer.BadParameter(f"sums of {self.scheme} are exact", param_hint="--raw-precision")
        asked = {
            "releases": self.releases,
            "flooding_bits": self.flooding_bits,
            "raw_precision": self.raw_precision or None,
        }
        said: dict[str, Any] = {name: value for name, value in asked.items() if value is not None}
        scheme = _KINDS[self.scheme](
            self.participants,
            self.length,
            value_bits=self.bits,
            release_to=self.release_to,
            **said,
        )
        return scheme.make_group_key()


@app.command("new")
@with_options
def new(
    output: Output,
    wanted: Wanted,
    handle: Annotated[Path | None, typer.Option(help="The server's file; by default OUTPUT.handle.")] = None,
    as_json: AsJson = False,
) -> None:
    """Make a group key, and the handle that the server needs. Cohorts and vectors may be smaller than was said."""
    servers = handle if handle is not None else output.with_name(f"{output.name}.handle")
    if servers.resolve() == output.resolve():
        raise typer.BadParameter(f"{servers} is to be the key's own file", param_hint="--handle")
    for file in (output, servers):
        if file.exists():
            raise InputError(f"{file} exists; a group key is never overwritten, choose another file")
    key, public = wanted.make()
    public.save(servers)
    try:
        key.save(output)
    except InputError:
        servers.unlink()  # the handle of a key that nobody has
        raise
    target = console(as_json)
    target.print(
        f"{output} is secret: it stays with this site, and opens every vector sent under it.",
        soft_wrap=True,
    )
    target.print(f"{servers} is for the server: it opens nothing.", soft_wrap=True)
    _print(key, output, as_json, handle=str(servers))


@app.command("show")
def show(
    file: Annotated[Path, typer.Argument(help="A group key's file, or a handle's.")], as_json: AsJson = False
) -> None:
    """Print what a key is for, and how much of its budget this user has spent; nothing secret."""
    held: GroupKey | GroupKeyHandle
    try:
        held = GroupKeyHandle.load(file)
    except InputError:
        held = GroupKey.load(file)
    _print(held, file, as_json)


@app.command("request")
@with_options
def ask(
    output: Annotated[
        Path,
        typer.Option("-o", "--output", help="The request to write; hand it to who has the key."),
    ],
    site: Site,
    as_json: AsJson = False,
) -> None:
    """Ask for a group key. The secret to open the answer with stays here, in OUTPUT.secret."""
    asked, secret = request(site.party())
    write_new(_secret_file(output), secret.hex())
    write_new(output, asked.hex())
    console(as_json).print(
        f"hand {output} to a site that has the key; {_secret_file(output)} stays here",
        soft_wrap=True,
    )
    if as_json:
        print_json(
            {
                "file": str(output),
                "secret": str(_secret_file(output)),
                "participant": site.participant,
            }
        )


@app.command("seal")
@with_options
def seal(
    key: Annotated[Path, typer.Argument(help="This site's key file.")],
    requested: Annotated[Path, typer.Argument(metavar="REQUEST", help="The other site's request.")],
    output: Annotated[
        Path,
        typer.Option("-o", "--output", help="The answer to write; only who asked can open it."),
    ],
    site: Site,
    as_json: AsJson = False,
) -> None:
    """Seal the group key for who asked."""
    maker = site.party()
    write_new(output, seal_for(GroupKey.load(key), _read(requested), maker).hex())
    target = console(as_json)
    target.print(f"hand {output} back to who asked", soft_wrap=True)
    if site.roster is None:
        target.print("nothing is signed: it must have come from, and go to, who you think", soft_wrap=True)
    if as_json:
        print_json({"file": str(output), "signed": site.roster is not None})


@app.command("open")
@with_options
def open_answer(
    answer: Annotated[Path, typer.Argument(help="The sealed key.")],
    requested: Annotated[Path, typer.Argument(metavar="REQUEST", help="This site's own request.")],
    output: Output,
    site: Site,
    as_json: AsJson = False,
) -> None:
    """Open the answer to a request, and keep the key."""
    me = site.party()
    key = open_sealed(_read(answer), _secret(requested), me)
    key.save(output)
    _secret_file(requested).unlink()
    console(as_json).print(f"{output} is secret: it stays with this site.", soft_wrap=True)
    _print(key, output, as_json)


def _secret_file(requested: Path) -> Path:
    return requested.with_name(f"{requested.name}.secret")


def _secret(requested: Path) -> bytes:
    try:
        return bytes.fromhex(read_own(_secret_file(requested)))
    except InputError:
        raise
    except ValueError:
        raise InputError(f"{_secret_file(requested)} is damaged: ask again with a new request") from None


def _read(file: Path) -> bytes:
    """Return the bytes of a message. Raises `InputError`."""
    try:
        return bytes.fromhex(file.read_text(encoding="ascii"))
    except ValueError:
        raise InputError(f"{file} is not what `secagg group-key` wrote: it is not hexadecimal") from None


def _print(held: GroupKey | GroupKeyHandle, file: Path, as_json: bool, **more: str) -> None:
    """Print the public part: of a key also how much of its budget this user has spent."""
    need = held.need
    released = FileReleases.of_this_user().count(held.key_id) if isinstance(held, GroupKey) else None
    target = console(as_json)
    target.print(f"{file}: {'handle of ' if released is None else ''}group key {held.key_id.hex()}", soft_wrap=True)
    target.print(f"for {need.described}", soft_wrap=True)
    if released is not None and need.releases:
        target.print(f"released here: {released} of {need.releases}", soft_wrap=True)
    if as_json:
        print_json(
            {
                "file": str(file),
                "kind": "handle" if released is None else "key",
                "key_id": held.key_id.hex(),
                "scheme": need.kind,
                "max_participants": need.participants,
                "max_length": need.length,
                "bits": need.value_bits,
                "releases": need.releases,
                "flooding_bits": need.flooding_bits,
                "precision": need.precision,
                "release_to": "server" if need.releases else "participants",
                "released": released,
                **more,
            }
        )
