"""The bench of hostile parties: real machines, scripts that say what one of them sends, and all that anybody sees.

`Attack(scheme, hostile).run()` runs one round. `hostile` maps a party (0 the server) to {message kind: script}; a
script takes (attack, the envelopes that the honest machine would send) and returns those that are sent instead. `EVERY`
stands for whatever it sends. A hostile server goes on where an honest one would give up. `attack.view(0, 3)` is what
the server and participant 3 know together. `rounds` runs the same through the requests and answers of `secagg.round`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Any, ClassVar, Self, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from secagg_protocols import (
    SERVER,
    Aggregator,
    Client,
    ContributionLedger,
    Envelope,
    MemoryLedger,
    Participant,
    Policy,
    ProtocolViolation,
    RemoteError,
    RepeatedContext,
    RoundContext,
    RoundFailed,
    Scheme,
    SecAggError,
    StateError,
    Step,
)

from .driver import Parties, parties_of, vectors_for
from .noise import KnownNoise
from .view import Passed, View

Script: TypeAlias = Callable[[Any, list[Envelope]], list[Envelope]]
Launch: TypeAlias = Callable[..., "Attack"]

CONTEXT = RoundContext("job", 1, b"\x01" * 32)
EVERY = "every message"


@dataclass(frozen=True, slots=True)
class Settings:
    """What the participants of an attack hold. contexts, ledgers, schemes: of those who do not have what the others
    have; their schemes have the others' id, and machines that may skip a check (`weakened`).

    absent: participant → the step from which on it is silent. colluders: participants that keep all that their machines
    ever held, for the server.
    """

    context: RoundContext = CONTEXT
    contexts: Mapping[int, RoundContext] = field(default_factory=dict)
    policy: Policy = Policy()  # noqa: RUF009  (frozen)
    ledgers: Mapping[int, ContributionLedger] = field(default_factory=dict)
    schemes: Mapping[int, Scheme] = field(default_factory=dict)
    absent: Mapping[int, Step] = field(default_factory=dict)
    colluders: Collection[int] = ()


class Attack:
    """One round under attack. `run` never raises because the round failed: see `failure`."""

    def __init__(
        self,
        scheme: Scheme,
        hostile: Mapping[int, Mapping[str, Script]] | None = None,
        *,
        vectors: Mapping[int, NDArray[Any]] | None = None,
        parties: Parties | None = None,
        keys: tuple[object, object] | None = None,
        **settings: Any,
    ) -> None:
        self.scheme = scheme
        self.hostile = hostile or {}
        self.settings = Settings(**settings)
        self.vectors = dict(vectors or vectors_for(scheme))
        self.noise = KnownNoise(scheme)
        self.identities, self.roster = parties or parties_of(scheme)
        self.keys = keys or scheme.make_group_key() or (None, None)
        self.server = scheme.server(
            self._context(SERVER),
            Aggregator(identity=self.identities.get(SERVER), roster=self.roster, standing=self.keys[1]),
        )
        self.clients: dict[int, Client] = {who: self._client(who) for who in range(1, scheme.participants + 1)}
        self.refusals: list[tuple[int, str, SecAggError]] = []
        self.sent: dict[str, dict[int, Envelope]] = defaultdict(dict)
        self.told: dict[str, dict[int, Envelope]] = defaultdict(dict)
        self.transcript: list[Passed] = []
        self.memories: dict[int, list[Any]] = {who: [] for who in self.settings.colluders}
        self.failure: RoundFailed | None = None

    def _context(self, who: int) -> RoundContext:
        return self.settings.contexts.get(who, self.settings.context)

    def _client(self, who: int) -> Client:
        context = self._context(who)
        return self._scheme(who).client(
            who,
            context if not self.scheme.early_keys else replace(context, context_digest=b""),
            replace(self._party(who, self.settings.ledgers.get(who, MemoryLedger())), policy=self.settings.policy),
        )

    def restored(self, who: int, snapshot: bytes, ledger: ContributionLedger) -> Client:
        """Make a participant's machine again from a snapshot."""
        return self._scheme(who).restore(snapshot, self._party(who, ledger))

    def _scheme(self, who: int) -> Scheme:
        return self.settings.schemes.get(who, self.scheme)

    def _party(self, who: int, ledger: ContributionLedger) -> Participant:
        return Participant(identity=self.identities.get(who), roster=self.roster, ledger=ledger, standing=self.keys[0])

    # --- the round

    def run(self, until: str | None = None) -> Self:
        """Run the round; stop before the server closes the step `until`, or sends messages of that kind (`kinds`)."""
        self._open()
        for who in self.clients:
            if self._present(who, self.scheme.steps[0]):
                self.begin(who)
        for closed, step in zip(self.scheme.steps, (*self.scheme.steps[1:], None), strict=True):
            if until in (closed.value, self.kinds.get(step)) and until is not None:
                return self
            outgoing = self._advance()
            if step is None:
                return self
            kind = outgoing[0].kind if outgoing else self.kinds.get(step, EVERY)
            for envelope in self._hostile(SERVER, kind, outgoing):
                if self._present(envelope.recipient, step):
                    self.deliver(envelope)
        return self

    kinds: ClassVar[Mapping[Step | None, str]] = {}
    """Step → the server's message that asks for it, for scripts that go on where an honest server has failed."""

    def note(self, who: int, envelope: Envelope) -> None:
        """Look at what a participant sends, as a server that keeps everything does."""

    def begin(self, who: int) -> None:
        """Have a participant begin."""
        try:
            answers = self._start(who)
            self._remember(who)
            answers += self.vector_of(who)
        except (RemoteError, StateError, RepeatedContext) as error:
            self.refusals.append((who, "start", error))
            return
        self._take(who, None, answers)

    def deliver(self, envelope: Envelope) -> None:
        """Give a participant an envelope, and the server what it answers."""
        who = envelope.recipient
        refused = None
        try:
            answers = self._receive(envelope)
            self._remember(who)
            answers += self.vector_of(who)
        except (RemoteError, StateError, RepeatedContext) as error:
            self.refusals.append((who, envelope.kind, error))
            refused = error
        self.transcript.append(Passed(SERVER, who, envelope, refused))
        if refused is None:
            self._take(who, envelope, answers)

    def vector_of(self, who: int) -> list[Envelope]:
        """Give a participant its vector, where it waits for one; return what it sends."""
        client = self.clients[who]
        return self.noise.contribute(client, self.vectors[who]) if client.awaits_vector else []

    def to_server(self, envelope: Envelope, by: int | None = None) -> None:
        """Give the server an envelope. by: who sends it, where it is not whom it says."""
        sender = envelope.sender if by is None else by
        refused = self._offer(sender, envelope)
        if refused is not None:
            self.refusals.append((SERVER, envelope.kind, refused))
        self.transcript.append(Passed(sender, SERVER, envelope, refused))

    # --- the calls on machines

    def _open(self) -> None:
        self.server.start()

    def _start(self, who: int) -> list[Envelope]:
        client = self.clients[who]
        answers = client.start()
        if not client.context.known:
            client.bind_context(self._context(who).context_digest)
        return answers

    def _receive(self, envelope: Envelope) -> list[Envelope]:
        read = Envelope.from_bytes(envelope.to_bytes(), self.scheme.envelope_limit)
        return self.clients[envelope.recipient].receive(read)

    def _offer(self, sender: int, envelope: Envelope) -> SecAggError | None:
        try:
            self.server.receive(Envelope.from_bytes(envelope.to_bytes(), self.scheme.envelope_limit))
        except (RemoteError, StateError) as error:
            return error
        return None

    def _close(self) -> list[Envelope]:
        return self.server.advance()

    def _remember(self, who: int) -> None:
        if who in self.memories:
            client = self.clients[who]
            self.memories[who].append(msgspec.msgpack.decode(client.snapshot(), type=client.memory_type))

    def _present(self, who: int, step: Step) -> bool:
        steps = self.scheme.steps
        absent = self.settings.absent
        return who not in absent or steps.index(step) < steps.index(absent[who])

    def _advance(self) -> list[Envelope]:
        try:
            return self._close()
        except RoundFailed as failure:
            self.failure = failure
        except StateError:
            pass  # failed before: a hostile server goes on by its script
        return []

    def _hostile(self, party: int, kind: str, envelopes: list[Envelope]) -> list[Envelope]:
        scripts = self.hostile.get(party, {})
        script = scripts.get(kind) or scripts.get(EVERY)
        return script(self, envelopes) if script else envelopes

    def _take(self, who: int, request: Envelope | None, answers: list[Envelope]) -> None:
        if request is not None:
            self.told[request.kind][who] = request
        for kind, honest in groupby(answers, lambda envelope: envelope.kind):
            for envelope in self._hostile(who, kind, list(honest)):
                self.sent[envelope.kind][who] = envelope
                self.note(who, envelope)
                self.to_server(envelope, who)

    # --- what parties see

    def view(self, *parties: int) -> View:
        """Return what these know together. Participants among them must be `colluders`, for their memory."""
        seen = tuple(passed for passed in self.transcript if not {passed.sender, passed.recipient}.isdisjoint(parties))
        participants = [who for who in parties if who != SERVER]
        outputs = [self.clients[who].output for who in participants] + [self.server.output] * (SERVER in parties)
        return View(
            frozenset(parties),
            seen,
            {who: tuple(self.memories[who]) for who in participants},
            {who: self.vectors[who] for who in participants},
            next((output.total for output in outputs if output is not None and output.total.size), None),
        )

    def by(self, party: int) -> list[SecAggError]:
        """Return what a party refused."""
        return [error for who, _, error in self.refusals if who == party]

    def violation(self, party: int) -> ProtocolViolation:
        """Return the one violation that made a participant abort."""
        found = [error for error in self.by(party) if isinstance(error, ProtocolViolation)]
        assert len(found) == 1, f"participant {party} refused {self.by(party)}"
        return found[0]

    def total_of(self, *who: int) -> NDArray[Any]:
        """Return the true sum of these participants' vectors."""
        total: NDArray[Any] = np.sum([self.vectors[one] for one in who], axis=0)
        return total

    def total(self) -> NDArray[np.integer[Any]]:
        """Return the sum that came out: the server's, or what the participants hold who keep it from the server."""
        held = [output for client in self.clients.values() if (output := client.output) is not None]
        output = held[0] if held else self.server.output
        assert output is not None, f"no sum came out: {self.failure}"
        return output.total

    def check_total_of(self, *who: int) -> None:
        """The sum that came out is that of these participants' vectors, and of their noise."""
        assert self.server.output is not None, f"no sum came out: {self.failure}"
        assert self.server.output.survivors == who
        exact = self.total_of(*who).astype(np.int64)
        assert (self.total().astype(np.int64) == exact + self.noise.of(who)).all()
