"""A scheme: a protocol with all its public parameters and its machines. Everything else is made from it."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, ClassVar, Self

from ..primitives.randomness import SYSTEM, Randomness
from .client import Client
from .context import RoundContext
from .guarantee import Adversary
from .parameters import Parameters
from .party import Aggregator, Participant
from .server import Server


@dataclass(frozen=True)
class Scheme(Parameters):
    """Base of all schemes: the parameters and the machines that go by them."""

    machines: ClassVar[tuple[type[Client], type[Server]]]
    """A participant's machine and the server's. Bound where both are there: in the scheme's own package."""

    @classmethod
    def against(cls, participants: int, colluders: int, dropout_rate: float) -> dict[str, Any]:
        """Return what it must withstand, as the parameters in which this scheme takes it."""
        return {"colluders": colluders} if any(item.name == "colluders" for item in fields(cls)) else {}

    @classmethod
    def examples(cls) -> tuple[Self, ...]:
        """Return one for each server that it can be made for: ten participants, of whom two may collude."""
        servers = [server for server in Adversary if server in cls.traits.adversaries] or [Adversary.SEMI_HONEST]
        return tuple(cls(10, 1, adversary=server, **cls.against(10, 2, 0)) for server in servers)

    def make_group_key(self, randomness: Randomness = SYSTEM) -> tuple[object, object] | None:
        """Make (what every participant holds, what the server holds); None where participants share no key."""
        return None

    def client(self, participant: int, context: RoundContext, party: Participant = Participant()) -> Client:  # noqa: B008
        """Make a participant's machine for one round.

        Raises `ParameterError` for a scheme that is less than the party's policy asks for, and for a party that lacks
        what the scheme needs.
        """
        return self.machines[0](self, context, participant, party)

    def server(self, context: RoundContext, party: Aggregator = Aggregator()) -> Server:  # noqa: B008
        """Make the server's machine for one round. Raises `ParameterError` as for `client`."""
        return self.machines[1](self, context, party)

    def restore(self, snapshot: bytes, party: Participant) -> Client:
        """Make a participant's machine from a snapshot of one. Raises `InputError` for a foreign snapshot.

        party: with the ledger that this identity keeps, as a snapshot restored twice must not answer twice. Its policy
        may ask for more than the snapshot's own; one that asks for less raises `ParameterError`. Neither what outlives
        the round nor the workers are in a snapshot.
        """
        return self.machines[0].resume(self, snapshot, party)
