"""A whole round in one process: the real machines, real bytes between them, anyone may vanish or cheat.

The loop in `Simulation.run` is the driver that any transport needs; here the transport is a function call.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from statistics import fmean
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from secagg_he import BudgetSpent
from secagg_protocols import (
    SERVER,
    SYSTEM,
    Aggregator,
    Client,
    ContributionLedger,
    Correction,
    Dropout,
    Envelope,
    Identity,
    InputError,
    InsecureDeterministicRandomness,
    MemoryLedger,
    Output,
    ParameterError,
    Participant,
    Policy,
    Randomness,
    RemoteError,
    RepeatedContext,
    Roster,
    RoundContext,
    RoundFailed,
    Scheme,
    SecAggError,
    Server,
    StateError,
    Step,
    Workers,
)
from secagg_protocols.core.machine import Terminal

Vector: TypeAlias = NDArray[np.generic]
Inputs: TypeAlias = Sequence[Vector] | Mapping[int, Vector] | Callable[[int], Vector]
Misbehaviour: TypeAlias = Callable[[Client | Server, list[Envelope]], list[Envelope]]
Progress: TypeAlias = Callable[[int, int, str], None]


@dataclass(frozen=True, slots=True)
class Refusal:
    """A message or call that a party refused. party: its id, 0 the server. error: what it raised."""

    party: int
    step: Step
    error: SecAggError


@dataclass
class Run:
    """What happened in one round. Mappings are by participant id, or by step; times are CPU milliseconds.

    output: the sum and whose it is (what the participants hold, where they keep it from the server). dropped: who did
    not finish (a participant that vanishes after its masked input is in both). answered: who completed each step.
    bytes_sent, bytes_received: encoded envelopes. sent_by_step, received_by_step: the same, mean over those who sent or
    received any in the step; what is received in a step is what the server asks it with. client_ms: mean over those who
    did the step. server_wall_s: the server's elapsed seconds. failure: why there is no sum (from `Simulation.result`
    only; `total` is then empty, and so is `survivors`).
    """

    output: Output
    dropped: Mapping[int, Dropout]
    corrections: tuple[Correction, ...]
    refusals: tuple[Refusal, ...]
    answered: Mapping[Step, tuple[int, ...]]
    bytes_sent: Mapping[int, int]
    bytes_received: Mapping[int, int]
    sent_by_step: Mapping[Step, float]
    received_by_step: Mapping[Step, float]
    client_ms: Mapping[Step, float]
    server_ms: Mapping[Step, float]
    server_wall_s: float
    failure: RoundFailed | None = None

    @property
    def total(self) -> NDArray[np.uint64]:
        """The sum over the survivors: uint64, shape (length,)."""
        return self.output.total

    @property
    def survivors(self) -> tuple[int, ...]:
        """Whose vectors are in the sum, ascending."""
        return self.output.survivors


@dataclass
class _Meter:
    """CPU time of one kind of party, per step."""

    seconds: dict[Step, float] = field(default_factory=lambda: defaultdict(float))
    parties: dict[Step, set[int]] = field(default_factory=lambda: defaultdict(set))
    wall: float = 0.0

    @contextmanager
    def during(self, step: Step, party: int) -> Iterator[None]:
        wall, cpu = time.perf_counter(), time.process_time()
        try:
            yield
        finally:
            self.seconds[step] += time.process_time() - cpu
            self.wall += time.perf_counter() - wall
            self.parties[step].add(party)

    def means_ms(self) -> dict[Step, float]:
        return {step: 1e3 * total / len(self.parties[step]) for step, total in self.seconds.items()}


class _Traffic:
    """Bytes of encoded envelopes in one direction, per step and participant."""

    def __init__(self) -> None:
        self._count: dict[Step, dict[int, int]] = defaultdict(lambda: defaultdict(int))

    def add(self, step: Step, participant: int, count: int) -> None:
        self._count[step][participant] += count

    def totals(self) -> dict[int, int]:
        totals: dict[int, int] = defaultdict(int)
        for counts in self._count.values():
            for participant, count in counts.items():
                totals[participant] += count
        return dict(totals)

    def means(self) -> dict[Step, float]:
        return {step: fmean(counts.values()) for step, counts in self._count.items()}


class Simulation:
    """One round, ready to run. `simulate` is the short form; keep this one to look inside after a failure.

    Arguments as for `simulate`. Attributes: `server`, `clients` (id → machine), `refusals`, `contributed` (who gave its
    vector).
    """

    def __init__(
        self,
        scheme: Scheme,
        inputs: Inputs,
        *,
        drop: Mapping[int, Step | str] | None = None,
        misbehave: Mapping[int, Misbehaviour] | None = None,
        context: RoundContext | None = None,
        policy: Policy = Policy(),  # noqa: B008  (frozen)
        randomness: Randomness = SYSTEM,
        ledgers: Mapping[int, ContributionLedger] | None = None,
        group_key: tuple[object, object] | None = None,
        executor: Executor | None = None,
        parts: int = 1,
        progress: Progress | None = None,
    ) -> None:
        self.scheme, self._vector = scheme, _lookup(inputs, scheme.participants)
        self._drop = _check_drop(scheme, drop or {})
        self._misbehave, self._progress = misbehave or {}, progress
        self.refusals: list[Refusal] = []
        self.contributed: set[int] = set()
        self._server_meter, self._client_meter = _Meter(), _Meter()
        self._sent, self._received = _Traffic(), _Traffic()
        self._answered: dict[Step, tuple[int, ...]] = {}
        context = context or RoundContext("simulation", 1, bytes(32))
        identities, roster = _parties(scheme, randomness)
        group_key = group_key or scheme.make_group_key(_stream(randomness, "group key"))
        participants_key, servers_key = group_key or (None, None)
        workers = Workers(executor, parts)
        aggregator = Aggregator(identities.get(SERVER), roster, _stream(randomness, "server"), servers_key, workers)
        self.server = scheme.server(context, aggregator)
        everyone = Participant(roster=roster, policy=policy, standing=participants_key)
        self.clients = {
            participant: scheme.client(
                participant,
                context,
                replace(
                    everyone,
                    identity=identities.get(participant),
                    randomness=_stream(randomness, f"participant {participant}"),
                    ledger=(ledgers or {}).get(participant, MemoryLedger()),
                ),
            )
            for participant in range(1, scheme.participants + 1)
        }

    def run(self) -> Run:
        """Run the round. Raises `RoundFailed`; `result` then still tells what happened until then."""
        server, step = self.server, self.scheme.steps[0]
        self._from_server(step, server.start)
        asked = [client for client in self.clients.values() if self._takes_part(client, step)]
        for client in asked:
            self._turn(client, step, client.start)
        self._contribute(asked, step)
        while server.output is None:
            self._answered[step] = tuple(sorted(set(self.clients) - server.waiting_for - server.dropped.keys()))
            try:
                outgoing = self._from_server(step, server.advance)
            finally:
                self._tell_who_is_out(step)
            if server.output is None:
                step = server.step
            asked = []
            for envelope in outgoing:
                client = self.clients[envelope.recipient]
                if self._takes_part(client, step):
                    with self._server_meter.during(step, SERVER):
                        data = envelope.to_bytes()
                    self._received.add(step, client.participant, len(data))
                    self._turn(client, step, partial(self._hear, client, data))
                    asked.append(client)
            self._contribute(asked, step)
        return self.result()

    def _tell_who_is_out(self, step: Step) -> None:
        """Deliver the server's `Abort`s. They are no part of the round, and not counted."""
        for envelope in self.server.aborts():
            client = self.clients[envelope.recipient]
            if self._takes_part(client, step) and client.state not in (Terminal.DONE, Terminal.ABORTED):
                self._hear(client, envelope.to_bytes())

    def _contribute(self, asked: Sequence[Client], step: Step) -> None:
        """Give the vectors of those who wait for them; training takes longer than any other answer."""
        for client in asked:
            if client.awaits_vector:
                self._turn(client, step, partial(self._give_vector, client))

    def _give_vector(self, client: Client) -> list[Envelope]:
        envelopes = client.contribute(self._vector(client.participant))
        self.contributed.add(client.participant)
        return envelopes

    def _hear(self, client: Client, data: bytes) -> list[Envelope]:
        return client.receive(Envelope.from_bytes(data, self.scheme.envelope_limit))

    def _turn(self, client: Client, step: Step, call: Callable[[], list[Envelope]]) -> None:
        """One participant's turn, and the delivery of its answers."""
        answers = self._from_client(client, step, call)
        answers.reverse()
        while answers:  # what has been delivered is held by the server alone
            data = self._encode(client, step, answers.pop())
            with self._server_meter.during(step, SERVER):
                try:
                    self.server.receive(Envelope.from_bytes(data, self.scheme.envelope_limit))
                except (RemoteError, StateError) as error:
                    self.refusals.append(Refusal(SERVER, step, error))
        if self._progress is not None and not client.awaits_vector:
            steps, count = self.scheme.steps, len(self.clients)
            self._progress(steps.index(step) * count + client.participant, len(steps) * count, step.value)

    def _from_client(self, client: Client, step: Step, call: Callable[[], list[Envelope]]) -> list[Envelope]:
        participant = client.participant
        with self._client_meter.during(step, participant):
            try:
                envelopes = call()
            except (RemoteError, StateError, RepeatedContext, BudgetSpent) as error:
                self.refusals.append(Refusal(participant, step, error))
                envelopes = client.abort(error)
            if participant in self._misbehave:
                envelopes = self._misbehave[participant](client, envelopes)
        return envelopes

    def _encode(self, client: Client, step: Step, envelope: Envelope) -> bytes:
        with self._client_meter.during(step, client.participant):
            data = envelope.to_bytes()
        self._sent.add(step, client.participant, len(data))
        return data

    def _from_server(self, step: Step, call: Callable[[], list[Envelope]]) -> list[Envelope]:
        with self._server_meter.during(step, SERVER):
            outgoing = call()
        if SERVER in self._misbehave:
            outgoing = self._misbehave[SERVER](self.server, outgoing)
        return outgoing

    def _takes_part(self, client: Client, step: Step) -> bool:
        gone = self._drop.get(client.participant)
        return gone is None or self.scheme.steps.index(step) < self.scheme.steps.index(gone)

    def result(self) -> Run:
        """Return what has happened so far."""
        return Run(
            output=self._output() or Output(np.zeros(0, dtype=np.uint64), ()),
            dropped=dict(self.server.dropped),
            corrections=self.server.corrections,
            refusals=tuple(self.refusals),
            answered=self._answered,
            bytes_sent=self._sent.totals(),
            bytes_received=self._received.totals(),
            sent_by_step=self._sent.means(),
            received_by_step=self._received.means(),
            client_ms=self._client_meter.means_ms(),
            server_ms=self._server_meter.means_ms(),
            server_wall_s=self._server_meter.wall,
            failure=self.server.failure,
        )

    def _output(self) -> Output | None:
        """Return the sum: the server's, or what participants hold who keep it from the server. They must agree."""
        held = [output for client in self.clients.values() if (output := client.output) is not None]
        if self.server.output is None or not held:
            return self.server.output
        if any((output.total != held[0].total).any() or output.survivors != held[0].survivors for output in held):
            raise RoundFailed(
                self.scheme.steps[-1].value,
                len(held),
                self.scheme.quorum,
                "participants were given different sums",
                {SERVER},
            )
        return held[0]


def simulate(
    scheme: Scheme,
    inputs: Inputs,
    *,
    drop: Mapping[int, Step | str] | None = None,
    misbehave: Mapping[int, Misbehaviour] | None = None,
    context: RoundContext | None = None,
    policy: Policy = Policy(),  # noqa: B008  (frozen)
    randomness: Randomness = SYSTEM,
    ledgers: Mapping[int, ContributionLedger] | None = None,
    group_key: tuple[object, object] | None = None,
    executor: Executor | None = None,
    parts: int = 1,
    progress: Progress | None = None,
) -> Run:
    """Run one round of any scheme in memory and return what happened.

    inputs: integer vectors, shape (length,): a sequence (participant i's is inputs[i − 1]), a mapping by id, or a
    function of the id (then only one vector need exist at a time). drop: participant → the step before whose message it
    vanishes. misbehave: party (0 the server) → function (machine, envelopes it would send) → envelopes sent instead; it
    may use `machine.seal`. context, policy, ledgers: what the participants hold
    (a ledger for this round alone where none is given). group_key: what
    `Scheme.make_group_key` returned (a fresh one when not given). randomness: the one door. executor, parts: where the
    server unmasks. progress: called with (done, total, step).

    Raises `RoundFailed` when too few are left, `ParameterError` and `InputError` for unusable arguments.
    """
    return Simulation(
        scheme,
        inputs,
        drop=drop,
        misbehave=misbehave,
        context=context,
        policy=policy,
        randomness=randomness,
        ledgers=ledgers,
        group_key=group_key,
        executor=executor,
        parts=parts,
        progress=progress,
    ).run()


def _lookup(inputs: Inputs, participants: int) -> Callable[[int], Vector]:
    if callable(inputs):
        return inputs
    if isinstance(inputs, Mapping):
        missing = sorted(set(range(1, participants + 1)) - inputs.keys())
        if missing:
            raise InputError(f"no input for participant {missing[0]}; give one for each of 1 … {participants}")
        return inputs.__getitem__
    if len(inputs) != participants:
        raise InputError(f"{len(inputs)} inputs for {participants} participants; give one each")
    return lambda participant: inputs[participant - 1]


def _check_drop(scheme: Scheme, drop: Mapping[int, Step | str]) -> dict[int, Step]:
    checked = {}
    for participant, name in drop.items():
        if not 1 <= participant <= scheme.participants:
            raise ParameterError(f"drop: participant {participant} is not between 1 and {scheme.participants}")
        if name not in [step.value for step in scheme.steps]:
            steps = ", ".join(step.value for step in scheme.steps)
            raise ParameterError(f"drop: {name!r} is no step of {scheme.name}; its steps are {steps}")
        checked[participant] = Step(name)
    return checked


def _parties(scheme: Scheme, randomness: Randomness) -> tuple[dict[int, Identity], Roster | None]:
    """Make fresh identities and a roster, where the scheme needs them."""
    if not scheme.active:
        return {}, None
    stream = _stream(randomness, "identities")
    identities = {
        party: Identity.generate(f"party {party}", scheme.ciphersuite, stream)
        for party in range(scheme.participants + 1)
    }
    return identities, Roster.of(scheme.ciphersuite, [own.public(party) for party, own in identities.items()])


def _stream(randomness: Randomness, party: str) -> Randomness:
    """Give every party a stream of its own when randomness is a seed, or all would draw the same keys."""
    if isinstance(randomness, InsecureDeterministicRandomness):
        return randomness.fork(party)
    return randomness
