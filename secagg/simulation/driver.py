"""A round whose parties are all in this process: bare machines, each answering when its turn comes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Unpack

import numpy as np

from secagg.round import Answers, Proposal, Requests, Round, drive
from secagg.round.outcome import who_completed
from secagg.round.peers import Peers
from secagg_he import BudgetSpent
from secagg_protocols import (
    SERVER,
    Client,
    Envelope,
    Output,
    RemoteError,
    RepeatedContext,
    RoundFailed,
    Scheme,
    SecAggError,
    StateError,
    Step,
)
from secagg_protocols.core.machine import Terminal

from .measures import Measures
from .parties import Inputs, Options, Vector, check_known, input_of, make_parties
from .run import Refusal, Run
from .script import Script, ScriptedServer


class _Everyone(Peers[int]):
    """Participants that are known from the start, and a list of what all parties refuse, in order."""

    def __init__(self, participants: int) -> None:
        super().__init__(range(1, participants + 1), numbered=True)
        self.refusals: list[Refusal] = []

    def refuse(self, peer: int, step: Step | None, why: SecAggError | str) -> None:
        """Record what the server refuses."""
        assert step is not None  # nobody answers before the first step or after the last
        assert isinstance(why, SecAggError)  # a bare machine that refuses says so by an Abort
        self.refusals.append(Refusal(SERVER, step, why))


class Simulation:
    """One round, ready to run. `simulate` is the short form; keep this one to look inside after a failure.

    Arguments as for `simulate`. Attributes: `server`, `clients` (id → machine), `refusals`, `contributed` (who gave its
    vector).
    """

    def __init__(self, scheme: Scheme, inputs: Inputs, **options: Unpack[Options]) -> None:
        check_known(options)
        self.scheme = scheme
        self.contributed: set[int] = set()
        self._vector = input_of(inputs, scheme.participants)
        self._script = Script.of(scheme, options.get("drop") or {}, options.get("misbehave") or {})
        self._progress = options.get("progress")
        self._measures = Measures()
        self._step = scheme.steps[0]
        parties = make_parties(scheme, options)
        self.server = parties.server
        self.clients = parties.clients
        everyone = _Everyone(scheme.participants)
        self.refusals = everyone.refusals
        server = ScriptedServer(self.server, self._script, self._measures.server)
        self._round = Round(server, Proposal.of(scheme, self.server.context), everyone)

    def run(self) -> Run:
        """Run the round. Raises `RoundFailed`; `result` then still tells what happened until then."""
        try:
            drive(self._round, self._exchange)
        finally:
            self._tell_who_is_out()
        return self.result()

    def _exchange(self, requests: Requests[int], uploads: bool) -> Iterator[tuple[int, Answers]]:
        """Let everyone who is there answer in turn. Vectors come last, as training takes longer than anything else."""
        self._tell_who_is_out()
        step = self._step = self.server.step
        asked = [self.clients[own] for own in requests if self._script.is_there(own, step)]
        for client in asked:
            envelopes = requests.envelopes(client.participant)
            if not envelopes:
                yield from self._turn(client, step, client.start)
            for envelope in envelopes:
                data = self._to_participant(step, envelope)
                yield from self._turn(client, step, partial(self._hear, client, data))
        for client in asked:
            if client.awaits_vector:
                # The vector is there before its participant's time begins to count.
                give = partial(self._give_vector, client, self._vector(client.participant))
                yield from self._turn(client, step, give)
                del give

    def _turn(self, client: Client, step: Step, call: Callable[[], list[Envelope]]) -> Iterator[tuple[int, Answers]]:
        """Let a participant make one call; yield its answers. What has been taken is held by the server alone."""
        envelopes = self._from_client(client, step, call)
        envelopes.reverse()
        while envelopes:
            answers = Answers((self._to_server(client, step, envelopes.pop()),))
            with self._measures.server.during(step, SERVER):  # until the next is asked for, the server takes this one
                yield client.participant, answers
            del answers
        if self._progress is not None and not client.awaits_vector:
            steps = self.scheme.steps
            count = len(self.clients)
            self._progress(steps.index(step) * count + client.participant, len(steps) * count, step.value)

    def _from_client(self, client: Client, step: Step, call: Callable[[], list[Envelope]]) -> list[Envelope]:
        with self._measures.clients.during(step, client.participant):
            try:
                envelopes = call()
            except (RemoteError, StateError, RepeatedContext, BudgetSpent) as error:
                self.refusals.append(Refusal(client.participant, step, error))
                envelopes = client.abort(error)
            return self._script.sent(client, envelopes)

    def _give_vector(self, client: Client, vector: Vector) -> list[Envelope]:
        envelopes = client.contribute(vector)
        self.contributed.add(client.participant)
        return envelopes

    def _hear(self, client: Client, data: bytes) -> list[Envelope]:
        return client.receive(Envelope.from_bytes(data, self.scheme.envelope_limit))

    def _to_participant(self, step: Step, envelope: Envelope) -> bytes:
        with self._measures.server.during(step, SERVER):
            data = envelope.to_bytes()
        self._measures.received.add(step, envelope.recipient, len(data))
        return data

    def _to_server(self, client: Client, step: Step, envelope: Envelope) -> bytes:
        with self._measures.clients.during(step, client.participant):
            data = envelope.to_bytes()
        self._measures.sent.add(step, client.participant, len(data))
        return data

    def _tell_who_is_out(self) -> None:
        """Deliver the server's `Abort`s of the step that was closed. They are no part of the round, and not counted."""
        told = self._round.aborts()
        for participant in told:
            client = self.clients[participant]
            ended = client.state in (Terminal.DONE, Terminal.ABORTED)
            if not ended and self._script.is_there(participant, self._step):
                for envelope in told.envelopes(participant):
                    self._hear(client, envelope.to_bytes())

    def result(self) -> Run:
        """Return what has happened so far."""
        measures = self._measures
        return Run(
            output=self._output() or Output(np.zeros(0, dtype=np.uint64), ()),
            dropped=dict(self.server.dropped),
            corrections=self.server.corrections,
            refusals=tuple(self.refusals),
            answered=who_completed(self.server),
            bytes_sent=measures.sent.totals(),
            bytes_received=measures.received.totals(),
            sent_by_step=measures.sent.means(),
            received_by_step=measures.received.means(),
            client_ms=measures.clients.means_ms(),
            server_ms=measures.server.means_ms(),
            server_wall_s=measures.server.wall,
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


def simulate(scheme: Scheme, inputs: Inputs, **options: Unpack[Options]) -> Run:
    """Run one round of any scheme in memory and return what happened.

    inputs: integer vectors, shape (length,): a sequence (participant i's is inputs[i − 1]), a mapping by id, or a
    function of the id (then only one vector need exist at a time).

    Options, by name. drop: participant → the step before whose message it vanishes. misbehave: party (0 the server) →
    function (machine, envelopes it would send) → envelopes sent instead; it may use `machine.seal`. context, policy,
    ledgers: what the participants hold (a ledger for this round alone where none is given). group_key: what
    `Scheme.make_group_key` returned (a fresh one when not given). randomness: the one door. executor, parts: where the
    server unmasks. progress: called with (done, total, step).

    Raises `RoundFailed` when too few are left, `ParameterError` and `InputError` for unusable arguments.
    """
    return Simulation(scheme, inputs, **options).run()
