"""A driver that stops between any two calls, so that a test may look, refuse, restore or cheat in between.

Everything between parties travels as bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, TypeAlias

import numpy as np

from secagg_protocols import (
    SERVER,
    SYSTEM,
    Aggregator,
    Client,
    Envelope,
    Identity,
    InsecureDeterministicRandomness,
    MemoryLedger,
    Output,
    Participant,
    Policy,
    Randomness,
    Roster,
    RoundContext,
    Scheme,
    Step,
)
from secagg_protocols.core.machine import Terminal

from .noise import KnownNoise

CONTEXT = RoundContext("conformance", 1, bytes(range(32)))
LENIENT = Policy(minimum_cohort=2)

Parties: TypeAlias = tuple[dict[int, Identity], Roster | None]


def parties_of(scheme: Scheme, randomness: Randomness = SYSTEM) -> Parties:
    """Make everybody's identity and the roster, where the scheme has them."""
    if not scheme.active:
        return {}, None
    identities = {
        party: Identity.generate(f"party {party}", scheme.ciphersuite, randomness)
        for party in range(scheme.participants + 1)
    }
    return identities, Roster.of(scheme.ciphersuite, [own.public(party) for party, own in identities.items()])


def vectors_for(scheme: Scheme, seed: int = 1) -> dict[int, np.ndarray]:
    """Return one random vector per participant, over the whole range."""
    generator = np.random.default_rng(seed)
    top = scheme.domain.largest
    return {
        participant: generator.integers(0, top, scheme.length, dtype=np.uint64, endpoint=True)
        for participant in range(1, scheme.participants + 1)
    }


def plain_sum(vectors: Mapping[int, np.ndarray], survivors: tuple[int, ...]) -> list[int]:
    """Return the sum over the survivors, in Python's unbounded integers."""
    return [sum(column) for column in zip(*(vectors[survivor].tolist() for survivor in survivors), strict=True)]


def spared(scheme: Scheme, drop: Mapping[int, Step]) -> dict[int, Step]:
    """Return who vanishes: nobody where the scheme needs everybody."""
    return dict(drop) if scheme.quorum < scheme.participants else {}


def _streams(scheme: Scheme, source: Any) -> dict[int, Any]:
    """Return everyone's randomness: a stream each where they follow a seed."""
    forked = isinstance(source, InsecureDeterministicRandomness)
    return {party: source.fork(f"party {party}") if forked else source for party in range(scheme.participants + 1)}


@dataclass(frozen=True, slots=True)
class Plan:
    """How a round is rehearsed, where it is not as ever. contexts: of those who do not have what the others have.

    drop: participant → the first step that it does not answer. reborn: every call finds a machine that has just been
    made again from its snapshot.
    """

    context: RoundContext = CONTEXT
    contexts: Mapping[int, RoundContext] = field(default_factory=dict)
    policy: Policy = LENIENT
    randomness: Any = field(default_factory=lambda: InsecureDeterministicRandomness(7))
    drop: Mapping[int, Step] | None = None
    vectors: Mapping[int, np.ndarray] | None = None
    reborn: bool = False


class Rehearsal:
    """One round of any scheme, driven call by call. plan: what a `Plan` takes, by name.

    uplink: what participants have sent in the open step and the server has not taken, as bytes. downlink: likewise
    from the server. sent, heard: everything that was ever sent, by (participant, kind). snapshots: each participant's
    (state, snapshot) after every call, from the first. contributed: the step in which vectors went in. noise: what was
    added to them.
    """

    def __init__(self, scheme: Scheme, **plan: Any) -> None:
        made = Plan(**plan)
        participants = range(1, scheme.participants + 1)
        self.scheme = scheme
        self.drop = dict(made.drop or {})
        self.reborn = made.reborn
        self.vectors = made.vectors if made.vectors is not None else vectors_for(scheme)
        self.noise = KnownNoise(scheme)
        self.policy = made.policy
        self.contexts = dict.fromkeys(participants, made.context) | dict(made.contexts)
        self.streams = _streams(scheme, made.randomness)
        self.identities, self.roster = parties_of(scheme, InsecureDeterministicRandomness(3, "identities"))
        self.ledgers = {participant: MemoryLedger() for participant in participants}
        self.group_key, servers_key = scheme.make_group_key(made.randomness) or (None, None)
        aggregator = Aggregator(
            identity=self.identities.get(SERVER),
            roster=self.roster,
            randomness=self.streams[SERVER],
            standing=servers_key,
        )
        self.server = scheme.server(made.context, aggregator)
        self.clients = {participant: self._client(participant, made.context) for participant in participants}
        self.uplink: dict[int, list[bytes]] = {participant: [] for participant in participants}
        self.downlink: dict[int, list[bytes]] = {participant: [] for participant in participants}
        self.sent: dict[tuple[int, str], bytes] = {}
        self.heard: dict[tuple[int, str], bytes] = {}
        self.snapshots: dict[int, list[tuple[Any, bytes]]] = {participant: [] for participant in participants}
        self.contributed: Step | None = None
        for participant in participants:
            self._remember(participant)

    def _client(self, participant: int, context: RoundContext) -> Client:
        early = replace(context, context_digest=b"")
        return self.scheme.client(
            participant,
            early if self.scheme.early_keys else self.contexts[participant],
            self.party(participant),
        )

    def party(self, participant: int) -> Participant:
        """Return what a participant brings with it."""
        return Participant(
            identity=self.identities.get(participant),
            roster=self.roster,
            policy=self.policy,
            randomness=self.streams[participant],
            ledger=self.ledgers[participant],
            standing=self.group_key,
        )

    # --- the calls, one at a time

    def open(self) -> None:
        """Start everybody; the first step's messages are in `uplink`."""
        self._down(self.server.start())
        for participant in self.clients:
            if self.present(participant):
                self.act(participant, self._start)

    def open_uploads(self) -> None:
        """Go on from the start until all vectors are in `uplink`."""
        self.open()
        while self.contributed is None:
            self.take()
            self.advance()
            self.hear()

    def _start(self, client: Client) -> list[Envelope]:
        envelopes = client.start()
        self._tell(client)
        return envelopes

    def _tell(self, client: Client) -> Client:
        """Tell a participant with early keys what the round is about."""
        if not client.context.known and client.state is not Terminal.NEW:
            client.bind_context(self.contexts[client.participant].context_digest)
        return client

    def present(self, participant: int) -> bool:
        """Whether a participant still answers in the open step."""
        gone = self.drop.get(participant)
        steps = self.scheme.steps
        return gone is None or steps.index(self.server.step) < steps.index(gone)

    def act(self, participant: int, call: Callable[[Client], list[Envelope]]) -> None:
        """Make one call on a participant, then give it its vector if it asks; collect what it sends."""
        answers = self.touch(participant, call)
        if self.clients[participant].awaits_vector:
            self.contributed = self.server.step
            vector = self.vectors[participant]
            answers += self.touch(participant, lambda client: self.noise.contribute(client, vector))
        for envelope in answers:
            data = envelope.to_bytes()
            self.uplink[participant].append(data)
            self.sent[participant, envelope.kind] = data

    def touch(self, participant: int, call: Callable[[Client], list[Envelope]]) -> list[Envelope]:
        if self.reborn:
            self.clients[participant] = self.restore(participant, self.clients[participant].snapshot())
        answers = call(self.clients[participant])
        self._remember(participant)
        return answers

    def take(self) -> None:
        """Let the server receive everything in `uplink`."""
        for data in self.drain():
            self.offer(data)

    def offer(self, data: bytes) -> None:
        """Let the server receive these bytes."""
        self.server.receive(self.parse(data))

    def drain(self) -> Iterator[bytes]:
        """Yield what is in `uplink`, and empty it."""
        for queue in self.uplink.values():
            while queue:
                yield queue.pop(0)

    def advance(self) -> None:
        """Close the open step; what the server sends is in `downlink`."""
        self._down(self.server.advance())

    def hear(self) -> None:
        """Let every participant that is present receive what is in `downlink`, and answer."""
        for participant, queue in self.downlink.items():
            while queue:
                envelope = self.parse(queue.pop(0))
                if self.present(participant):
                    self.act(participant, partial(Client.receive, envelope=envelope))

    def moments(self) -> Iterator[Rehearsal]:
        """Run from wherever it is to the end, stopping before every single call on the server and after every step."""
        if self.server.state is Terminal.NEW:
            self.open()
        while self.server.output is None:
            for data in self.drain():
                yield self
                self.offer(data)
            yield self
            self.advance()
            if self.server.output is None:
                self.hear()
        yield self

    def finish(self) -> Rehearsal:
        """Run from wherever it is to the end."""
        for _ in self.moments():
            pass
        return self

    # --- helpers

    def _down(self, envelopes: list[Envelope]) -> None:
        for envelope in envelopes:
            data = envelope.to_bytes()
            self.downlink[envelope.recipient].append(data)
            self.heard[envelope.recipient, envelope.kind] = data

    def _remember(self, participant: int) -> None:
        client = self.clients[participant]
        self.snapshots[participant].append((client.state, client.snapshot()))

    def parse(self, data: bytes) -> Envelope:
        return Envelope.from_bytes(data, self.scheme.envelope_limit)

    def restore(self, participant: int, snapshot: bytes, **changes: Any) -> Client:
        """Make a participant's machine again from a snapshot."""
        return self._tell(self.scheme.restore(snapshot, replace(self.party(participant), **changes)))

    def observable(self) -> tuple[Any, ...]:
        """Return everything that can be seen of the server."""
        server = self.server
        return server.state, server.waiting_for, server.ready, dict(server.dropped), server.corrections, server.output

    @property
    def output(self) -> Output:
        """The sum where it is held: by the server, or by participants who keep it from the server and must agree."""
        assert self.server.output is not None
        held = [output for client in self.clients.values() if (output := client.output) is not None]
        if not held:
            return self.server.output
        assert self.server.output.words.size == 0
        assert all(output.survivors == self.server.output.survivors for output in held)
        assert len({output.total.tobytes() for output in held}) == 1
        return held[0]

    def check(self) -> None:
        """The output is the plain sum over exactly the survivors, and their noise where the scheme has any."""
        output = self.output
        assert output.total.dtype == (np.uint64 if self.scheme.noise is None else np.int64)
        assert output.total.shape == (self.scheme.length,)
        plain = plain_sum(self.vectors, output.survivors)
        noise = self.noise.of(output.survivors).tolist()
        assert output.total.tolist() == [value + more for value, more in zip(plain, noise, strict=True)]
