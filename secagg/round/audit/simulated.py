"""The logs of parties that are all in one process."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from secagg_protocols import SERVER, Client, Identity, InputError, Roster, SecAggError, Server, Step
from secagg_protocols.core.machine import Terminal

from ..outcome import Refused
from .keeping import ServerTrail, SiteTrail
from .record import Seen, Stamp


class Said(Protocol):
    """What a party of a simulation refused. party: its id, 0 the server."""

    @property
    def party(self) -> int: ...
    @property
    def step(self) -> Step: ...
    @property
    def error(self) -> SecAggError: ...


class Simulated(Protocol):
    """A round of bare machines: all of them, what they refused, and who gave its vector (`secagg.Simulation`)."""

    @property
    def server(self) -> Server: ...
    @property
    def clients(self) -> Mapping[int, Client]: ...
    @property
    def refusals(self) -> Sequence[Said]: ...
    @property
    def contributed(self) -> Collection[int]: ...


class SimulatedTrails:
    """The logs of parties that are all in this process: `server.jsonl`, `participant-1.jsonl` … in a new folder.

    Each party gets a signing key for its log alone, made here and never written down: nobody can add to a log when the
    process has ended. Their public keys are in `roster.json`. server, sites (by participant): each party's own log.
    Raises `InputError` for a folder that cannot be used.
    """

    def __init__(self, folder: Path | str, participants: int, ciphersuite: str = "x25519") -> None:
        folder = Path(folder)
        everyone = range(1, participants + 1)
        try:
            folder.mkdir(mode=0o700, exist_ok=True)
            if any(folder.iterdir()):
                raise InputError(
                    f"{folder} is not empty, and simulated parties go on with nobody's log: their keys end with their "
                    "run; give a new folder"
                )
            names = ["simulated server", *(f"simulated participant {own}" for own in everyone)]
            identities = [Identity.generate(name, ciphersuite) for name in names]
            Roster.of(ciphersuite, [one.public(party) for party, one in enumerate(identities)]).save(
                folder / "roster.json"
            )
        except OSError as error:
            raise InputError(
                f"{folder}: cannot be used for audit logs ({error.strerror}); give a new folder in one that exists and "
                "may be written"
            ) from None
        self.server = ServerTrail(folder / "server.jsonl", identities[SERVER])
        self.sites = {own: SiteTrail(folder / f"participant-{own}.jsonl", identities[own]) for own in everyone}

    def write(self, simulation: Simulated, stamp: Stamp) -> None:
        """Record a round that ended, each party from its own machine. Who never began writes nothing."""
        server = simulation.server
        refused = [Refused(item.party, item.step, str(item.error), item.error) for item in simulation.refusals]
        self.server.write(server, stamp, tuple(str(item) for item in refused if item.peer == SERVER))
        stamp = replace(stamp, model_after=b"")
        for own, client in simulation.clients.items():
            if client.state is Terminal.NEW:
                continue
            contributed = own in simulation.contributed
            refusals = tuple(str(item) for item in refused if item.peer == own)
            seen = Seen.by_participant(client, contributed=contributed, refusals=refusals)
            # The model goes with the request for the vector.
            said = stamp if contributed else replace(stamp, model=b"")
            self.sites[own].note(server.scheme, server.context, seen, said)
