"""A round up to its last step: the server is real, and every holder's true answer lies beside it.

`real` runs the participants as they are. `short` leaves out of them what the server never sees: what they seal for each
other is zeros, and pairwise masks, which cancel, are none. That is most of their work, and all that grows with n².
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from secagg import SERVER, SYSTEM, Client, Envelope, Server, Simulation
from secagg_protocols.bonawitz import steps
from secagg_protocols.core.wire import decode
from secagg_protocols.dealing.messages import ConsistencyCheck, UnmaskRequest
from secagg_protocols.dealing.params import Dealing
from secagg_protocols.dealing.steps import survivors_digest
from secagg_protocols.primitives.field import Elements

from .shares import ENCODINGS, OF_THE_SUM, Answer, read, write

Progress = Callable[[int, int, str], None]
BadDealers = Mapping[int, frozenset[int]]
"""Dealer → the holders that it deals noise."""


@dataclass(slots=True)
class Stage:
    """A server that waits for the last answers. answers: the true ones, by holder. total: the true sum."""

    scheme: Dealing
    server: Any
    clients: Mapping[int, Any]
    answers: dict[int, Answer]
    total: NDArray[np.uint64]
    bad: BadDealers
    kind: str

    @property
    def by_dealer(self) -> bool:
        """Whether shares of every dealer are opened, and not one sum of them."""
        return self.answers[1].dealers != (OF_THE_SUM,)

    @property
    def opens(self) -> type[Any]:
        """The message that a holder opens with."""
        kind: type[Any] = self.server.messages[self.kind]
        return kind

    @property
    def modulus(self) -> Elements:
        """The prime of each column of elements."""
        return ENCODINGS[self.opens].modulus(self.scheme)

    def holders_of(self, dealer: int) -> tuple[int, ...]:
        """Return who holds a share of a dealer (0: of the sum)."""
        return tuple(holder for holder, answer in self.answers.items() if dealer in answer.dealers)

    def close(self, answers: Mapping[int, Answer]) -> tuple[Any, Callable[[], Any]]:
        """Return a server that was given these answers, and the call that closes its last step."""
        server = _twin(self.server)
        for holder, answer in answers.items():
            opened = write(self.scheme, self.opens, answer)
            server.receive(self.clients[holder].seal(self.kind, SERVER, opened))
        return server, server.advance


def _twin(machine: Any) -> Any:
    """Return a machine that can go on without changing this one."""
    twin = copy.copy(machine)
    for owner in (twin, copy.copy(machine._sum)):
        for name, value in vars(owner).items():
            if isinstance(value, (dict, set, list, np.ndarray)):
                setattr(owner, name, value.copy())
    twin._sum = owner
    return twin


def short(scheme: Dealing, vector_of: Callable[[int], NDArray[Any]], bad: BadDealers, move: Progress) -> Stage:
    """Run a round of shortened participants up to its last step."""
    parties = Simulation(scheme, vector_of)
    server: Any = parties.server
    clients: Mapping[int, Any] = parties.clients
    members = tuple(clients)
    total = len(clients)
    encoding = ENCODINGS[server.messages[scheme.opening_step.value]]
    noise = partial(encoding.noise, scheme)
    server.start()
    for one, client in clients.items():
        move(one, total, "keys")
        _deal_noise(client, bad.get(one, frozenset()), noise)
        _deliver(server, client.start())
    server.advance()
    shares: dict[int, dict[int, bytes]] = {one: {} for one in members}
    for one, client in clients.items():
        move(one, total, "shares")
        client._memory.session = server._session
        circle = server._graph.circle(one)
        told, dealt = client._deal(circle)
        for holder in circle:
            # What it keeps of a share that it deals itself: all but the proof, which nobody needs here.
            shares[holder][one] = client._accept(one, dealt[holder])
        sealed = memoryview(bytes((len(circle) - 1) * scheme.sealed_bytes))
        _deliver(server, [client.seal(scheme.deal_step.value, SERVER, client.deal_type(told, sealed))])
    server.advance()
    for one, client in clients.items():
        move(one, total, "uploads")
        client._memory.dealers = (one,)
        client._memory.shares = shares[one]
        _deliver(server, client._contribute(vector_of(one)))
    server.advance()
    if scheme.active:
        signed = ConsistencyCheck(survivors_digest(server._session, members))
        _deliver(server, [client.seal("ConsistencyCheck", SERVER, signed) for client in clients.values()])
        server.advance()
    answers = {}
    for one, client in clients.items():
        move(one, total, "answers")
        client._memory.dealers = tuple(sorted(shares[one]))
        answers[one] = client._open(UnmaskRequest(tuple(sorted(shares[one])), (), (), ()))
    return _stage(scheme, server, clients, answers, vector_of, bad)


def real(scheme: Dealing, vector_of: Callable[[int], NDArray[Any]], bad: BadDealers, move: Progress) -> Stage:
    """Run a round of real participants up to its last step."""
    assert not bad
    parties = Simulation(scheme, vector_of)
    server = parties.server
    clients = parties.clients
    server.start()
    outgoing = [envelope for client in clients.values() for envelope in client.start()]
    while server.state is not scheme.opening_step:
        _deliver(server, outgoing)
        outgoing = []
        asked = server.advance()
        for done, envelope in enumerate(asked):
            move(done, len(asked), server.step.value)
            client = clients[envelope.recipient]
            outgoing += client.receive(Envelope.from_bytes(envelope.to_bytes(), scheme.envelope_limit))
            if client.awaits_vector:
                outgoing += client.contribute(vector_of(client.participant))
    limit = scheme.payload_limit
    answers = {one.sender: decode(server.messages[one.kind], one.payload, limit) for one in outgoing}
    return _stage(scheme, server, clients, answers, vector_of, bad)


def _stage(
    scheme: Dealing,
    server: Server,
    clients: Mapping[int, Client],
    messages: Mapping[int, Any],
    vector_of: Callable[[int], NDArray[Any]],
    bad: BadDealers,
) -> Stage:
    answers = {holder: read(server, holder, message) for holder, message in messages.items()}
    total = np.sum([vector_of(one).astype(np.uint64) for one in clients], axis=0)
    return Stage(scheme, server, clients, answers, total, bad, scheme.opening_step.value)


def _deliver(server: Server, envelopes: list[Envelope]) -> None:
    for envelope in envelopes:
        server.receive(Envelope.from_bytes(envelope.to_bytes(), server.scheme.envelope_limit))


def _deal_noise(client: Any, holders: frozenset[int], noise: Callable[[int], bytes]) -> None:
    """Make a participant deal noise to these holders, and sign it where it signs. noise: of so many bytes."""
    scheme = client.scheme
    if not holders:
        return
    if scheme.active:
        draw = client._draw

        def drawn() -> Any:
            draw()
            own = client._memory.own
            shares = bytearray(own.shares)
            size = len(shares) // scheme.participants
            for holder in holders:
                shares[(holder - 1) * size : holder * size] = noise(size)
            client._memory.own = msgspec.structs.replace(own, shares=bytes(shares))
            return steps.advertise(scheme, client.me, client._memory.own, client._address, client.context, SYSTEM)

        client._draw = drawn
        return
    deal = client._deal

    def dealt(circle: tuple[int, ...]) -> tuple[bytes, Mapping[int, bytes]]:
        told, shares = deal(circle)
        return told, {holder: noise(len(share)) if holder in holders else share for holder, share in shares.items()}

    client._deal = dealt
