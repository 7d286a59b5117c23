"""`secagg serve`: the coordinator of one query, over HTTPS."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from secagg.cli.options import Panel, with_options
from secagg.cli.output import AsJson, console
from secagg.extras import needed
from secagg.schemes import SCHEMES, parameters_of
from secagg.service.settings import Address, Deadlines
from secagg.train.setting import AtLeast, BelowOne, Called, OneOf, Option, Positive, check
from secagg_protocols import SERVER, Identity, InputError, ParameterError, Roster
from secagg_protocols.core import storage

if TYPE_CHECKING:
    from secagg.stats.inquiry import Inquiry
    from secagg.stats.query import Query


@dataclass(frozen=True, kw_only=True)
class Parties:
    """Who takes part, and what is asked of them."""

    query: Annotated[Path, typer.Option(help="The query, as `secagg stats … --query-out` writes it.")]
    roster: Annotated[Path, typer.Option(help="The roster that all parties have.")]
    identity: Annotated[Path, typer.Option(help="The coordinator's own identity file.")]
    state: Annotated[Path, typer.Option(help="Folder in which the query is kept: started again, it goes on there.")]
    result: Annotated[Path | None, typer.Option(help="File for the results, as JSON; it is replaced.")] = None
    scheme: Annotated[str, OneOf(SCHEMES), Option("Scheme that withstands an active server.")] = "bonawitz"
    colluders: Annotated[int, AtLeast(0), Option("Sites that may help the coordinator, and learn nothing by it.")] = 0

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True, kw_only=True)
class Noise:
    """Noise under the sums, which protects one row of any site."""

    epsilon: Annotated[
        float | None, Positive(), Called(("dp_epsilon",)), Option("ε of one row; figures are exact without.")
    ] = None
    delta: Annotated[float, BelowOne(), Called(("dp_delta",)), Option("Failure probability of that guarantee.")] = 1e-5
    tolerated: Annotated[
        int, AtLeast(0), Called(("dp_tolerated",)), Option("Dropouts that the noise must outlive.")
    ] = 0

    def __post_init__(self) -> None:
        check(self)
        if self.epsilon is None and (self.delta, self.tolerated) != (Noise.delta, Noise.tolerated):
            raise typer.BadParameter("--delta and --tolerated are of the noise that --epsilon asks for; give that, too")

    def knobs(self, colluders: int) -> dict[str, Any]:
        """Return it as the settings take it."""
        if self.epsilon is None:
            return {}
        return {f"dp_{name}": value for name, value in asdict(self).items()} | {"dp_colluders": colluders}


@dataclass(frozen=True, kw_only=True)
class Certificate:
    """What the coordinator speaks TLS with."""

    tls_cert: Annotated[Path | None, typer.Option(help="The coordinator's certificate, in PEM.")] = None
    tls_key: Annotated[Path | None, typer.Option(help="The certificate's private key, in PEM, not encrypted.")] = None

    def __post_init__(self) -> None:
        if (self.tls_cert is None) != (self.tls_key is None):
            raise typer.BadParameter("--tls-cert and --tls-key belong together; give both")


@with_options
def serve(
    parties: Parties,
    noise: Annotated[Noise, Panel("Noise")],
    address: Annotated[Address, Panel("Service")],
    certificate: Annotated[Certificate, Panel("Service")],
    deadlines: Annotated[Deadlines, Panel("Service")],
    as_json: AsJson = False,
) -> None:
    """Ask one query of the sites of a roster, which join over HTTPS, and print the results.

    It runs until the results are there. Stopped and started again with the same --state, it goes on where it was.
    """
    with needed("service"):
        from secagg.service.serving import run
        from secagg.service.serving import serve as service
        from secagg.service.tls import fingerprint, server_context
    from secagg.cli.stats.running import Run, report

    result = parties.result
    if result is not None and not result.parent.is_dir():
        raise InputError(f"{result} (--result) would be in a folder that is not there: make it, or name another file")
    roster = Roster.load(parties.roster)
    context = None
    target = console(as_json)
    if certificate.tls_cert is not None and certificate.tls_key is not None:
        context = server_context(certificate.tls_cert, certificate.tls_key, datetime.now(UTC))
        target.print(f"certificate {fingerprint(certificate.tls_cert)}", soft_wrap=True)
    query = _read(parties.query)
    with _held(parties.state):
        inquiry = _inquiry(parties, noise, query, roster)
        if not inquiry.done:
            if query.expired(datetime.now(UTC)):
                raise InputError(f"{parties.query} (--query) has expired, and no site would answer: make another query")
            say = partial(target.print, soft_wrap=True)
            run(service(inquiry, roster, address, context, deadlines, say))
    sites = inquiry.progress.sites
    found = Run(inquiry.progress.query, (), inquiry.results, sites, inquiry.noise, inquiry.epsilon(min(sites)))
    if result is not None:
        _write(result, found.plain())
    report(found, as_json)


@contextmanager
def _held(state: Path) -> Iterator[None]:
    """Hold a query's folder: two coordinators in it would turn each other back."""
    try:
        storage.make_folder(state)
        lock = storage.open_locked(state / "lock", wait=False)
    except OSError as error:
        raise InputError(f"{state} (--state) cannot be used for a query ({error.strerror}); give another") from None
    try:
        yield
    finally:
        os.close(lock)


def _inquiry(parties: Parties, noise: Noise, query: Query, roster: Roster) -> Inquiry:
    identity = Identity.load(parties.identity)
    if identity.public_key != roster.key_of(SERVER):
        raise ParameterError(
            f"the identity {identity.name!r} (--identity) is not the server of the roster (--roster): its key is "
            f"{identity.public_key.hex()}"
        )
    from secagg.service.serving import names_of
    from secagg.stats.inquiry import Inquiry, settings_of

    settings = settings_of(
        {
            "scheme": parties.scheme,
            "adversary": "active",
            **({"colluders": parties.colluders} if "colluders" in parameters_of(parties.scheme) else {}),
            "identity": identity,
            "roster": roster,
            "audit": parties.state / "audit.jsonl",
            **noise.knobs(parties.colluders),
        }
    )
    try:
        return Inquiry(query, settings, names_of(roster), parties.state)
    except InputError as error:
        raise InputError(f"{error} (--state)") from None


def _read(path: Path) -> Query:
    from secagg.stats.query import Query

    try:
        return Query.from_json(path.read_bytes())
    except OSError as error:
        raise InputError(f"{path} (--query) cannot be read: {error.strerror}") from None
    except InputError as error:
        raise InputError(f"{path} (--query): {error}") from None


def _write(path: Path, found: dict[str, Any]) -> None:
    try:
        storage.replace(path, json.dumps(found, allow_nan=False, indent=1).encode() + b"\n")
    except OSError as error:
        raise InputError(
            f"{path} (--result) cannot be written ({error.strerror}); the results are kept (--state): start again"
        ) from None
