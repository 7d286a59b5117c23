"""Sans-IO machines: envelopes in, envelopes out. No socket, clock, thread or global randomness.

Rules that every machine keeps, whatever the scheme:
1. Transitions are a table. A (state, event) pair that is not in it raises and changes nothing.
2. An envelope is checked from the outside in: address, then the table, then the signature, then the encoding, then
   the content. Everything before the content leaves the machine as it was.
3. Invalid content aborts a client, and makes a server drop that one participant: the round goes on without it. (What a
   single dealer can still do is in each scheme's NOTATION.md.)
4. One machine is one session; there is no reset.
5. One call at a time: a second one, from another thread or from within, raises `StateError` and changes nothing.
6. An `Abort` is outside the table: it takes a client to ABORTED from any state that is not an end, and makes a server
   count a participant as gone. It changes nothing else.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import astuple, dataclass, field, replace
from datetime import datetime
from enum import Enum, StrEnum
from types import MappingProxyType
from typing import Any, ClassVar, Self, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from ..errors import (
    SERVER,
    AuthenticationError,
    Declined,
    InputError,
    LateMessage,
    ParameterError,
    ProtocolViolation,
    RoundFailed,
    SecAggError,
    StateError,
    WireError,
)
from ..primitives.domain import VERSION, Use, digest
from ..primitives.randomness import Randomness
from ..primitives.recovery import Correction
from .aborts import ABORT, PAYLOAD_LIMIT, Abort, abort_for
from .identity import Identity, Roster
from .ledger import ContributionLedger, MemoryLedger
from .scheme import Output, Policy, RoundContext, Scheme, Step
from .turns import Turn, one_at_a_time
from .wire import Envelope, Message, decode, encode, signed_bytes

START, CONTRIBUTE, ADVANCE = "start", "contribute", "advance"


class Terminal(StrEnum):
    """States that every machine shares."""

    NEW = "New"
    DONE = "Done"
    ABORTED = "Aborted"


State: TypeAlias = Enum
Transitions = Mapping[tuple[State, str], State]


@dataclass(frozen=True, slots=True)
class Dropout:
    """A participant that did not finish: the step it did not complete, and why."""

    step: Step
    reason: str


_SILENT = "did not answer"
"""Why a participant dropped out of whom nothing more is known."""


@dataclass(frozen=True, slots=True)
class Holdings:
    """What a party brings to a round from outside. policy, ledger, executor, parts: a participant's, see `Scheme`."""

    identity: Identity | None
    roster: Roster | None
    randomness: Randomness = field(repr=False)
    policy: Policy | None = None
    ledger: ContributionLedger | None = None
    group_key: object | None = field(default=None, repr=False)
    executor: Executor | None = None
    parts: int = 1
    now: datetime | None = None


class Memory(msgspec.Struct, array_like=True):
    """What a participant remembers between calls; its encoding is the snapshot. Secret. Schemes add their own."""

    participant: int
    state: str
    scheme_id: bytes
    job: str
    round: int
    context_digest: bytes
    policy: tuple[int, int, str, int, int]
    abort_reason: str | None = None

    def __repr__(self) -> str:
        return f"{type(self).__name__}(participant={self.participant}, {self.state}, <redacted>)"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [("secrets", "<redacted>")]


class Machine(ABC):
    """What a client and a server share: the table, the address and the signature of envelopes."""

    messages: ClassVar[Mapping[str, type[Message]]]
    """Every kind of message that this machine may receive."""

    def __init__(self, scheme: Scheme, context: RoundContext, me: int, holdings: Holdings) -> None:
        self.scheme, self.context, self.me = scheme, context, me
        self._turn = Turn()
        self.state: State = Terminal.NEW
        self._identity, self._roster = holdings.identity, holdings.roster
        self._randomness, self._group_key = holdings.randomness, holdings.group_key
        self._address = scheme.address(context, holdings.roster)
        self._check_parties(holdings.now)

    def _check_parties(self, now: datetime | None) -> None:
        if self._roster is not None:
            self._roster.check_valid_at(now)
            expected = tuple(range(1, self.scheme.participants + 1))
            if self._roster.participants != expected:
                raise ParameterError(
                    f"the roster lists {len(self._roster.participants)} participants, "
                    f"the scheme is made for 1 … {self.scheme.participants}"
                )
            if self._roster.suite.id != self.scheme.suite.id:
                raise ParameterError(
                    f"the roster's keys are for {self._roster.suite.name}, the scheme uses {self.scheme.suite.name}"
                )
        if not self.scheme.active:
            return
        if self._identity is None or self._roster is None:
            raise ParameterError("an active adversary needs an identity and a roster: give identity= and roster=")
        try:
            pinned = self._roster.key_of(self.me), self._roster.key_of(SERVER)
        except AuthenticationError as error:
            raise ParameterError(
                f"{error}; against an active server the roster lists the server and every participant"
            ) from None
        if pinned[0] != self._identity.public_key:
            raise ParameterError(f"the identity {self._identity.name!r} is not the roster's entry {self.me}")

    @property
    @abstractmethod
    def transitions(self) -> Transitions:
        """The machine's whole behaviour: (state, event) → state."""

    @abstractmethod
    def _binding(self, kind: str) -> bytes:
        """Return the 32 bytes that envelopes of this kind must carry: the round's address or the session."""

    @property
    def _list_binding(self) -> bytes:
        """What the list of keys is bound to: the round's address, and with early keys, which do not say it, the context
        as well. So a participant in another context refuses the list before it has dealt anything."""
        if not self.scheme.early_keys:
            return self._address
        return digest(Use.EARLY_CONTEXT, self._address, self.context.context_digest)

    def _next(self, event: str) -> State:
        try:
            return self.transitions[self.state, event]
        except KeyError:
            raise StateError(f"{event} is not expected in state {self.state}") from None

    def seal(self, kind: str, recipient: int, message: Message, pieces: Sequence[memoryview] = ()) -> Envelope:
        """Make this party's envelope around a message; signed when the adversary is active. pieces: see `encode`."""
        return self.seal_for_all(kind, [recipient], message, pieces)[0]

    def seal_for_all(
        self, kind: str, recipients: Sequence[int], message: Message, pieces: Sequence[memoryview] = ()
    ) -> list[Envelope]:
        """Make one envelope for each recipient around the same message, which is encoded and hashed once."""
        payload, binding, suite = encode(message, pieces), self._bound_to(kind), self.scheme.suite.id
        envelopes = [Envelope(VERSION, suite, binding, kind, self.me, to, payload, b"") for to in recipients]
        if not self.scheme.active:
            return envelopes
        assert self._identity is not None
        sign, payload_digest = self._identity.sign, hashlib.sha256(payload).digest()
        replace = msgspec.structs.replace
        return [replace(item, signature=sign(signed_bytes(item, payload_digest))) for item in envelopes]

    def _check_address(self, envelope: Envelope) -> None:
        if envelope.recipient != self.me:
            raise WireError(f"an envelope for {envelope.recipient} was delivered to {self.me}")
        if envelope.suite != self.scheme.suite.id:
            raise WireError(f"ciphersuite {envelope.suite} is not this round's ({self.scheme.suite.id})")
        if envelope.kind not in self.messages and envelope.kind != ABORT:
            raise WireError(f"{envelope.kind!r} is not a message of {self.scheme.name} to this party")

    def _bound_to(self, kind: str) -> bytes:
        return self._address if kind == ABORT else self._binding(kind)

    def _check_binding(self, envelope: Envelope) -> None:
        if envelope.binding != self._bound_to(envelope.kind):
            raise WireError(f"{envelope.kind} from {envelope.sender} belongs to another round, scheme or session")

    def _authenticate(self, envelope: Envelope) -> None:
        if not self.scheme.active:
            if envelope.signature:
                raise WireError(f"{envelope.kind} is signed, which the semi-honest variant never does")
            return
        assert self._roster is not None
        message = signed_bytes(envelope, hashlib.sha256(envelope.payload).digest())
        self.scheme.suite.signatures.verify(self._roster.key_of(envelope.sender), envelope.signature, message)

    def open(self, envelope: Envelope) -> Message:
        """Decode an envelope's message. Raises `WireError`."""
        if envelope.kind == ABORT:
            return decode(Abort, envelope.payload, PAYLOAD_LIMIT)
        return decode(self.messages[envelope.kind], envelope.payload, self.scheme.payload_limit)


class Client(Machine):
    """A participant. Made by `Scheme.client`; `Scheme.restore` resumes one from its snapshot.

    executor: where `Ckks` and `Bfv` encrypt and decrypt (None: here). It may be replaced at any time.
    """

    memory_type: ClassVar[type[Memory]] = Memory

    def __init__(self, scheme: Any, context: RoundContext, participant: int, holdings: Holdings) -> None:
        if not 1 <= participant <= scheme.participants:
            raise ParameterError(f"participant {participant} is not between 1 and {scheme.participants}")
        super().__init__(scheme, context, participant, holdings)
        policy = Policy() if holdings.policy is None else holdings.policy
        scheme.check_policy(policy)
        ledger = holdings.ledger
        if ledger is None and scheme.active:
            raise ParameterError(
                "an active adversary asks again if nobody remembers: give ledger=SnapshotStore(folder), one for all "
                "rounds of this identity (in a simulation: MemoryLedger())"
            )
        if not (context.known or scheme.early_keys):
            raise ParameterError("context_digest is empty: only a scheme with early_keys=True starts without one")
        if holdings.parts < 1:
            raise ParameterError(f"parts={holdings.parts}: encrypt in 1 part or more")
        self.policy = policy
        self._ledger: ContributionLedger = MemoryLedger() if ledger is None else ledger
        self.executor, self._parts = holdings.executor, holdings.parts
        self.abort_reason: str | None = None
        self._memory: Any = self.memory_type(
            participant,
            self.state.value,
            scheme.id,
            context.job,
            context.round,
            context.context_digest,
            astuple(policy),
        )

    @property
    def participant(self) -> int:
        """This participant's id, 1 … n."""
        return self.me

    @property
    def awaits_vector(self) -> bool:
        """Whether `contribute` is the next thing to do."""
        return (self.state, CONTRIBUTE) in self.transitions

    @property
    def output(self) -> Output | None:
        """The sum, where the scheme gives it to the participants, once it is there; None under all other schemes."""
        return None

    @property
    def dealers(self) -> tuple[int, ...]:
        """Whose shares were dealt in this round, as the server told this participant; empty before, and under schemes
        that deal none."""
        return ()

    @property
    def survivors(self) -> tuple[int, ...]:
        """Whose vectors are in the sum, as the server told this participant; empty before, or where it never does."""
        return ()

    @property
    def contributed(self) -> bool:
        """Whether the vector has been given: the state is one that only follows it. Of an aborted one nobody knows."""
        after = {following for (_, event), following in self.transitions.items() if event == CONTRIBUTE}
        while further := {to for (state, _), to in self.transitions.items() if state in after} - after:
            after |= further
        return self.state in after

    @property
    def ended(self) -> bool:
        """Whether this participant has answered all that it will be asked."""
        return self.state is Terminal.DONE

    @one_at_a_time
    def bind_context(self, context_digest: bytes) -> None:
        """Say what the round is about, where that was not known when the machine was made (`early_keys`).

        Raises `StateError` when the machine holds another context, `ParameterError` for anything but 32 bytes.
        """
        context = RoundContext(self.context.job, self.context.round, context_digest)
        if not context.known:
            raise ParameterError("context_digest is empty; give a 32-byte digest")
        if self.context.known and context != self.context:
            raise StateError("this participant's round is about another model or configuration")
        self.context = context
        self._memory.context_digest = context_digest

    @one_at_a_time
    def start(self) -> list[Envelope]:
        """Begin the round; return the first envelopes. Raises `StateError` the second time."""
        following = self._next(START)
        outgoing = self._start()
        self.state = following
        return outgoing

    @one_at_a_time
    def contribute(self, vector: NDArray[np.generic]) -> list[Envelope]:
        """Give the vector: integers, shape (length,), values in [0, 2^value_bits). Once.

        Raises `InputError` (the machine is as it was: correct the vector and call again), `StateError`, and
        `RepeatedContext` when this participant's ledger shows an answer for the same context or a later round.
        """
        following = self._next(CONTRIBUTE)
        checked = self.scheme.domain.check(vector)
        self._ledger.claim(self.context, self.policy.reruns, self._pad())
        try:
            outgoing = self._contribute(checked)
        except ProtocolViolation as violation:
            self._abort(violation)
            raise
        self.state = following
        return outgoing

    def _pad(self) -> bytes:
        """Return the name of the one-time secrets that hide the vector; empty where there are none."""
        return b""

    def _abort(self, why: object) -> None:
        self.state = Terminal.ABORTED
        self.abort_reason = str(why)
        self._forget()

    @one_at_a_time
    def abort(self, why: SecAggError | None = None) -> list[Envelope]:
        """Leave the round for good; return what tells the server so, and why, for the driver to send if it can.

        why: what a call on this machine raised. Where that left the machine as it was and may be mended (a message of
        somebody else's, a vector out of range), nothing is done and nothing returned, so a driver may give it every
        error: `except SecAggError as error: answers = client.abort(error)`. None: leave whatever there is to mend.
        """
        mendable = why is not None and not isinstance(why, (ProtocolViolation, Declined))
        if mendable or self.state is Terminal.DONE:
            return []
        if self.state is not Terminal.ABORTED:
            self._abort(why or "it left the round")
        return [self.seal(ABORT, SERVER, abort_for(self.abort_reason))]

    @one_at_a_time
    def receive(self, envelope: Envelope) -> list[Envelope]:
        """Take one envelope from the server; return the answers: none to an `Abort`, after which this one is ABORTED.

        Raises `WireError`, `AuthenticationError`, `StateError`, `RepeatedContext` where this participant's ledger shows
        that it has answered otherwise (the machine is as it was), and `ProtocolViolation` (the machine is ABORTED and
        `abort_reason` says why).
        """
        self._check_address(envelope)
        if envelope.sender != SERVER:
            raise WireError(f"{envelope.kind} comes from {envelope.sender}; participants hear only the server")
        if envelope.kind == ABORT:
            return self._hear_abort(envelope)
        following = self._next(envelope.kind)
        if not self.context.known:
            raise StateError(f"{envelope.kind} came before it was known what the round is about: call bind_context")
        self._check_binding(envelope)
        self._authenticate(envelope)
        message = self.open(envelope)
        try:
            outgoing = self._handle(envelope.kind, message)
        except ProtocolViolation as violation:
            self._abort(violation)
            raise
        self.state = following
        return outgoing

    def _hear_abort(self, envelope: Envelope) -> list[Envelope]:
        if self.state in (Terminal.DONE, Terminal.ABORTED):
            raise StateError(f"{ABORT} is not expected in state {self.state}")
        self._check_binding(envelope)
        self._authenticate(envelope)
        message = self.open(envelope)
        assert isinstance(message, Abort)
        self._abort(f"the server says: {message.reason}")
        return []

    @abstractmethod
    def _start(self) -> list[Envelope]: ...

    @abstractmethod
    def _contribute(self, vector: NDArray[np.integer[Any]]) -> list[Envelope]: ...

    @abstractmethod
    def _handle(self, kind: str, message: Message) -> list[Envelope]: ...

    @abstractmethod
    def _forget(self) -> None:
        """Drop every reference to a secret (Python cannot wipe memory)."""

    @one_at_a_time
    def snapshot(self) -> bytes:
        """Return the whole state. Secret; resume it once, through a `SnapshotStore`."""
        self._memory.state, self._memory.abort_reason = self.state.value, self.abort_reason
        return msgspec.msgpack.encode(self._memory)

    @classmethod
    def resume(cls, scheme: Any, snapshot: bytes, holdings: Holdings) -> Self:
        """Make the machine that `snapshot` describes. Raises `InputError` when it is not one of this scheme's."""
        try:
            memory = msgspec.msgpack.decode(snapshot, type=cls.memory_type)
            context = RoundContext(memory.job, memory.round, memory.context_digest)
            began_with = Policy(*memory.policy)
        except (msgspec.MsgspecError, ValueError) as error:
            raise InputError(f"the snapshot is damaged: {type(error).__name__}") from None
        if memory.scheme_id != scheme.id:
            raise InputError("the snapshot belongs to another scheme or other parameters")
        if holdings.policy is not None:
            holdings.policy.check_keeps(began_with)
        policy = began_with if holdings.policy is None else holdings.policy
        client = cls(scheme, context, memory.participant, replace(holdings, policy=policy))
        memory.policy = astuple(policy)
        states = {state.value: state for state in (*Terminal, *client.transitions.values())}
        if memory.state not in states:
            raise InputError("the snapshot is damaged: unknown state")
        client.state, client._memory, client.abort_reason = states[memory.state], memory, memory.abort_reason
        return client


def server_transitions(steps: tuple[Step, ...]) -> Transitions:
    """Return the table of a server: each step takes its own message and is closed by `advance`."""
    table: dict[tuple[State, str], State] = {(Terminal.NEW, START): steps[0]}
    after: list[State] = [*steps[1:], Terminal.DONE]
    for step, following in zip(steps, after, strict=True):
        table[step, step.value] = step
        table[step, ADVANCE] = following
    return MappingProxyType(table)


HELD_BYTES = 1 << 30


class Server(Machine):
    """The aggregator. Made by `Scheme.server`. *When* a step is closed is the caller's policy: it has no clock.

    executor: where it unmasks (None: here). It may be replaced at any time, so after `WorkerLost`, too.
    held_bytes: what uploads that have begun and not ended may hold together (1 GiB); see `uploads_at_once`.
    """

    def __init__(
        self, scheme: Any, context: RoundContext, holdings: Holdings, executor: Executor | None, parts: int
    ) -> None:
        super().__init__(scheme, context, SERVER, holdings)
        if not context.known:
            raise ParameterError("context_digest is empty: a server knows what its round is about")
        if parts < 1:
            raise ParameterError(f"parts={parts}: unmask in 1 part or more")
        self.executor, self._parts = executor, parts
        self._transitions = server_transitions(scheme.steps)
        self._order = {step: position for position, step in enumerate((Terminal.NEW, *scheme.steps))}
        self._expected: frozenset[int] = frozenset()
        self._answered: set[int] = set()
        self._dropped: dict[int, Dropout] = {}
        self._corrections: list[Correction] = []
        self._suspects: set[int] = set()
        self._under_way: set[int] = set()
        self._told: set[int] = set()
        self.held_bytes = HELD_BYTES
        self.output: Output | None = None
        self.failure: RoundFailed | None = None

    @property
    def transitions(self) -> Transitions:
        return self._transitions

    @property
    def step(self) -> Step:
        """The step that is open. Raises `StateError` before the start and after the end."""
        if not isinstance(self.state, Step):
            raise StateError(f"no step is open in state {self.state}")
        return self.state

    @property
    def waiting_for(self) -> frozenset[int]:
        """Participants that have not answered the open step."""
        return self._expected - self._answered - self._dropped.keys()

    @property
    def needed(self) -> int:
        """Fewest answers with which the open step may be closed. Raises `StateError` when none is open."""
        return self._needed(self.step)

    @property
    def ready(self) -> bool:
        """Whether enough have answered for `advance` to succeed."""
        return isinstance(self.state, Step) and len(self._answered) >= self._needed(self.state)

    @property
    def dropped(self) -> Mapping[int, Dropout]:
        """Who did not finish, at which step, and why."""
        return MappingProxyType(self._dropped)

    @property
    def corrections(self) -> tuple[Correction, ...]:
        """Wrong shares that were found and left out."""
        return tuple(self._corrections)

    @property
    @abstractmethod
    def upload_bytes(self) -> int:
        """Bytes that one upload holds here, until it is complete."""

    @property
    def uploads_at_once(self) -> int:
        """How many uploads may have begun and not ended: as many as `held_bytes` hold, but one more than may be lost.

        An upload that has begun may always go on, so those that may stall without failing the round never stop the
        others. (Where losing most is allowed, half may stall.)
        """
        everyone = self.scheme.participants
        may_stall = everyone - max(self._needed(self.scheme.upload_step), everyone // 2 + 1)
        return max(self.held_bytes // self.upload_bytes, may_stall + 1)

    @one_at_a_time
    def start(self) -> list[Envelope]:
        """Open the first step. Raises `StateError` the second time."""
        self.state = self._next(START)
        self._expected = frozenset(range(1, self.scheme.participants + 1))
        return []

    @one_at_a_time
    def receive(self, envelope: Envelope) -> list[Envelope]:
        """Take one envelope from a participant. An `Abort` makes it a dropout, with its reason in `dropped`.

        Raises `WireError`, `AuthenticationError`, `LateMessage`, `StateError` (the machine is as it was), and
        `ProtocolViolation` (that participant is dropped, the round goes on).
        """
        self._check_address(envelope)
        sender, kind = envelope.sender, envelope.kind
        if not 1 <= sender <= self.scheme.participants:
            raise WireError(f"{kind} comes from unknown participant {sender}")
        if kind == ABORT:
            return self._let_go(envelope)
        self._check_in_time(sender, kind)
        self._next(kind)
        if sender in self._answered:
            raise StateError(f"participant {sender} has already answered {kind}")
        if kind == self.scheme.upload_step.value:
            self._check_room(sender)
        self._check_binding(envelope)
        self._authenticate(envelope)
        message = self.open(envelope)
        try:
            complete = self._handle(sender, message, envelope)
        except ProtocolViolation as violation:
            self._drop(sender, str(violation))
            raise
        if complete:
            self._answered.add(sender)
            self._under_way.discard(sender)
        elif kind == self.scheme.upload_step.value and sender not in self._dropped:
            self._under_way.add(sender)
        return []

    def _check_room(self, sender: int) -> None:
        """Raise `StateError` for an upload that would begin while as many as may be are under way."""
        if sender not in self._under_way and len(self._under_way) >= self.uploads_at_once:
            raise StateError(
                f"{len(self._under_way)} uploads are under way, as many as are held at once: send participant "
                f"{sender}'s again when one of them is complete, or raise held_bytes={self.held_bytes}"
            )

    def _let_go(self, envelope: Envelope) -> list[Envelope]:
        """Count a participant that says so as gone. If it has answered the open step, that answer stays."""
        sender = envelope.sender
        if not isinstance(self.state, Step):
            raise StateError(f"{ABORT} is not expected in state {self.state}")
        if sender in self._dropped:
            raise LateMessage(f"{ABORT} from participant {sender}, which has dropped out before")
        self._check_binding(envelope)
        self._authenticate(envelope)
        message = self.open(envelope)
        assert isinstance(message, Abort)
        reason = f"left, and says: {message.reason}"
        if sender in self._answered:  # nothing of its answer is freed: it may be held, and not yet in the sum
            self._dropped[sender] = Dropout(self.step, reason)
        else:
            self._drop(sender, reason)
        self._told.add(sender)
        return []

    def _check_in_time(self, sender: int, kind: str) -> None:
        order = self._order
        if order[kind] < order.get(self.state, len(order)) or sender in self._dropped:
            raise LateMessage(f"{kind} from participant {sender} comes too late: it is not part of this step any more")

    @one_at_a_time
    def aborts(self) -> list[Envelope]:
        """Return an `Abort` for everyone for whom the round has ended without a sum of its own doing, and who was not
        told: dropped participants, and all when the round has failed. Sent or not, as the driver likes."""
        reasons: dict[int, object] = {}
        if self.failure is not None:
            reasons = dict.fromkeys(range(1, self.scheme.participants + 1), self.failure)
        reasons.update((who, dropout.reason) for who, dropout in self._dropped.items())
        untold = sorted(reasons.keys() - self._told)
        self._told.update(untold)
        return [self.seal(ABORT, who, abort_for(reasons[who])) for who in untold]

    @one_at_a_time
    def advance(self) -> list[Envelope]:
        """Close the open step with whoever has answered; return what goes out next.

        Raises `RoundFailed` when fewer than the threshold answered; the machine is then ABORTED.
        """
        following = self._next(ADVANCE)
        for participant in self.waiting_for:
            self._drop(participant, _SILENT)
        try:
            if len(self._answered) < self._needed(self.step):
                raise self._too_few()
            outgoing = self._close(self.step, tuple(sorted(self._answered)))
        except RoundFailed as failure:
            self.state, self.failure = Terminal.ABORTED, failure
            raise
        self.state = following
        self._expected, self._answered = frozenset(envelope.recipient for envelope in outgoing), set()
        return outgoing

    def _needed(self, step: Step) -> int:
        """Return the fewest answers with which a step may be closed."""
        needed: int = self.scheme.quorum
        return needed

    def _too_few(self) -> RoundFailed:
        """Return the error for too few answers to the open step."""
        have, suspects = len(self._answered), frozenset(self._suspects)
        lost = ((who, out.reason) for who, out in self._dropped.items() if out.step is self.step)
        first = next((f"participant {who} {reason}" for who, reason in lost if reason != _SILENT), "")
        return RoundFailed(self.step.value, have, self._needed(self.step), first, suspects)

    def _drop(self, participant: int, reason: str) -> None:
        self._answered.discard(participant)
        self._under_way.discard(participant)
        self._dropped[participant] = Dropout(self.step, reason)
        self._lose(participant)

    def _lose(self, participant: int) -> None:
        """Free what is held for a participant that was dropped in the open step."""

    @abstractmethod
    def _handle(self, sender: int, message: Message, envelope: Envelope) -> bool:
        """Take a participant's message of the open step; return whether its answer is complete."""

    @abstractmethod
    def _close(self, step: Step, answered: tuple[int, ...]) -> list[Envelope]:
        """End the step; return the next step's envelopes, or set `output`."""
