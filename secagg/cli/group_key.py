"""`secagg group-key`: the key that the participants of bfv and ckks share. Made once, sealed for each of the others.

One participant makes it (`new`); each of the others asks (`request`), is answered (`seal`) and opens the answer
(`open`). What travels in between opens nothing and may go any way; with identities and a roster it is signed.
"""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from secagg.cli.choice import SchemeChoice
from secagg.cli.output import AsJson, console, print_json
from secagg.schemes import parameters_of
from secagg_he import Bfv, Ckks, GroupKey, GroupKeyHandle
from secagg_he.delivery import Party, open_sealed, request, seal_for
from secagg_he.files import read_own, write_new
from secagg_he.releases import FileReleases
from secagg_protocols.core.identity import Identity, Roster
from secagg_protocols.core.wire import MAX_PARTICIPANTS
from secagg_protocols.errors import InputError
from secagg_protocols.primitives.suites import suite_named

_KINDS = {kind.name: kind for kind in (Bfv, Ckks)}

app = typer.Typer(help="Make, show and deliver the key that participants of bfv and ckks share.", no_args_is_help=True)

Me = Annotated[
    int,
    typer.Option(
        "--participant", min=1, max=MAX_PARTICIPANTS, help="This site's number: its roster id, where there is one."
    ),
]
IdentityFile = Annotated[Path | None, typer.Option("--identity", help="This site's identity file: signs.")]
RosterFile = Annotated[Path | None, typer.Option("--roster", help="The roster: checks the other site's signature.")]
Suite = Annotated[Literal["x25519", "p256"], typer.Option(help="Named set of algorithms; a roster's own stands.")]


@app.command("new")
def new(
    output: Annotated[Path, typer.Option("-o", "--output", help="The key file to write.")],
    participants: Annotated[int, typer.Option(min=2, help="How many sites will ever hold the key, at most.")],
    length: Annotated[int, typer.Option(min=1, help="Values in the longest vector.")],
    scheme: Annotated[str, typer.Option(click_type=SchemeChoice(_KINDS), help="The protocol.")] = "bfv",
    bits: Annotated[int, typer.Option(min=1, max=63, help="Bits of each value.")] = 16,
    releases: Annotated[int | None, typer.Option(help="Sums that each site may release; 1000 if not said.")] = None,
    flooding_bits: Annotated[int | None, typer.Option(help="Statistical security of them; 30 if not said.")] = None,
    raw_precision: Annotated[
        int, typer.Option(min=0, help="ckks: leave errors of up to so much in sums; no codec takes such.")
    ] = 0,
    release_to: Annotated[Literal["server", "participants"], typer.Option(help="Who gets the sums.")] = "server",
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
    asked = {"releases": releases, "flooding_bits": flooding_bits, "raw_precision": raw_precision or None}
    said: dict[str, Any] = {name: value for name, value in asked.items() if value is not None}
    kind = _KINDS[scheme]
    if raw_precision and "raw_precision" not in parameters_of(scheme):
        raise typer.BadParameter(f"sums of {scheme} are exact", param_hint="--raw-precision")
    key, public = kind(participants, length, value_bits=bits, release_to=release_to, **said).make_group_key()
    public.save(servers)
    try:
        key.save(output)
    except InputError:
        servers.unlink()  # the handle of a key that nobody has
        raise
    target = console(as_json)
    target.print(f"{output} is secret: it stays with this site, and opens every vector sent under it.", soft_wrap=True)
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
def ask(
    output: Annotated[Path, typer.Option("-o", "--output", help="The request to write; hand it to who has the key.")],
    participant: Me,
    identity: IdentityFile = None,
    roster: RosterFile = None,
    ciphersuite: Suite = "x25519",
    as_json: AsJson = False,
) -> None:
    """Ask for a group key. The secret to open the answer with stays here, in OUTPUT.secret."""
    me = _party(participant, identity, roster, ciphersuite)
    asked, secret = request(me)
    write_new(_secret_file(output), secret.hex())
    write_new(output, asked.hex())
    console(as_json).print(
        f"hand {output} to a site that has the key; {_secret_file(output)} stays here", soft_wrap=True
    )
    if as_json:
        print_json({"file": str(output), "secret": str(_secret_file(output)), "participant": participant})


@app.command("seal")
def seal(
    key: Annotated[Path, typer.Argument(help="This site's key file.")],
    requested: Annotated[Path, typer.Argument(metavar="REQUEST", help="The other site's request.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The answer to write; only who asked can open it.")],
    participant: Me,
    identity: IdentityFile = None,
    roster: RosterFile = None,
    ciphersuite: Suite = "x25519",
    as_json: AsJson = False,
) -> None:
    """Seal the group key for who asked."""
    maker = _party(participant, identity, roster, ciphersuite)
    write_new(output, seal_for(GroupKey.load(key), _read(requested), maker).hex())
    console(as_json).print(f"hand {output} back to who asked", soft_wrap=True)
    if roster is None:
        console(as_json).print("nothing is signed: it must have come from, and go to, who you think", soft_wrap=True)
    if as_json:
        print_json({"file": str(output), "signed": roster is not None})


@app.command("open")
def open_answer(
    answer: Annotated[Path, typer.Argument(help="The sealed key.")],
    requested: Annotated[Path, typer.Argument(metavar="REQUEST", help="This site's own request.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The key file to write.")],
    participant: Me,
    identity: IdentityFile = None,
    roster: RosterFile = None,
    ciphersuite: Suite = "x25519",
    as_json: AsJson = False,
) -> None:
    """Open the answer to a request, and keep the key."""
    me = _party(participant, identity, roster, ciphersuite)
    key = open_sealed(_read(answer), _secret(requested), me)
    key.save(output)
    _secret_file(requested).unlink()
    console(as_json).print(f"{output} is secret: it stays with this site.", soft_wrap=True)
    _print(key, output, as_json)


def _party(participant: int, identity: Path | None, roster: Path | None, ciphersuite: str) -> Party:
    listed = Roster.load(roster) if roster is not None else None
    suite = listed.suite if listed is not None else suite_named(ciphersuite)
    return Party(participant, suite, Identity.load(identity) if identity is not None else None, listed)


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
