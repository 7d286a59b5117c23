"""A participant's machine: what every scheme's has in common."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar, Self

import msgspec
import numpy as np
from numpy.typing import NDArray

from ..errors import (
    SERVER,
    Declined,
    InputError,
    ParameterError,
    ProtocolViolation,
    SecAggError,
    StateError,
    WireError,
)
from ..packing.sums import Output
from .aborts import ABORT, Abort, abort_for
from .context import RoundContext
from .ledger import ContributionLedger, MemoryLedger
from .machine import CONTRIBUTE, START, Machine, Terminal, Transitions
from .noise import with_noise
from .party import Participant
from .policy import Policy
from .turns import one_at_a_time
from .wire import Envelope, Message


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


class Client(Machine):
    """A participant. Made by `Scheme.client`; `Scheme.restore` resumes one from its snapshot.

    workers: where its heavy work runs. They may be replaced at any time.
    """

    memory_type: ClassVar[type[Memory]] = Memory

    def __init__(self, scheme: Any, context: RoundContext, participant: int, party: Participant) -> None:
        if not 1 <= participant <= scheme.participants:
            raise ParameterError(f"participant {participant} is not between 1 and {scheme.participants}")
        super().__init__(scheme, context, participant, party)
        policy = Policy() if party.policy is None else party.policy
        scheme.check_policy(policy)
        ledger = party.ledger
        if ledger is None and scheme.active:
            raise ParameterError(
                "an active adversary asks again if nobody remembers: give ledger=SnapshotStore(folder), one for all "
                "rounds of this identity (in a simulation: MemoryLedger())"
            )
        if not (context.known or scheme.early_keys):
            raise ParameterError("context_digest is empty: only a scheme with early_keys=True starts without one")
        self.policy = policy
        self._ledger: ContributionLedger = MemoryLedger() if ledger is None else ledger
        self._survivors_rule = party.check_survivors
        self.abort_reason: str | None = None
        self._memory: Any = self.memory_type(
            participant,
            self.state.value,
            scheme.id,
            context.job,
            context.round,
            context.context_digest,
            policy.values,
        )

    @property
    def transitions(self) -> Transitions:
        return self.scheme.exchange.against(self.scheme.adversary).participant_transitions

    @property
    def messages(self) -> Mapping[str, type[Message]]:
        return self.scheme.exchange.against(self.scheme.adversary).to_participant

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
            outgoing = self._contribute(with_noise(self.scheme, checked, self._randomness, self._layer_keys()))
        except ProtocolViolation as violation:
            self._abort(violation)
            raise
        self.state = following
        return outgoing

    def _check_survivors(self, survivors: tuple[int, ...]) -> None:
        """Ask this participant's own rule, where it has one, before anything is signed or opened for survivors.

        Raises `Declined`.
        """
        if self._survivors_rule is not None:
            self._survivors_rule(self.context, survivors)

    def _layer_keys(self) -> tuple[bytes, ...]:
        """Return the keys of the layers of noise that can be taken off again; none where none can."""
        return ()

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
    def _start(self) -> list[Envelope]:
        """Begin; return what is sent before anything was heard: nothing where it is a vector that comes first."""

    @abstractmethod
    def _contribute(self, vector: NDArray[np.integer[Any]]) -> list[Envelope]:
        """Return the envelopes that carry a vector, which is checked: integers, in range, of the right length."""

    @abstractmethod
    def _handle(self, kind: str, message: Message) -> list[Envelope]:
        """Take a message of the server that is due by the transition table; return the answers."""

    @abstractmethod
    def _forget(self) -> None:
        """Drop every reference to a secret (Python cannot wipe memory)."""

    @one_at_a_time
    def snapshot(self) -> bytes:
        """Return the whole state. Secret; resume it once, through a `SnapshotStore`."""
        self._memory.state = self.state.value
        self._memory.abort_reason = self.abort_reason
        return msgspec.msgpack.encode(self._memory)

    @classmethod
    def resume(cls, scheme: Any, snapshot: bytes, party: Participant) -> Self:
        """Make the machine that `snapshot` describes. Raises `InputError` when it is not one of this scheme's."""
        if party.ledger is None:
            raise ParameterError("a snapshot restored twice must not answer twice: give the ledger this identity keeps")
        try:
            memory = msgspec.msgpack.decode(snapshot, type=cls.memory_type)
            context = RoundContext(memory.job, memory.round, memory.context_digest)
            began_with = Policy(*memory.policy)
        except (msgspec.MsgspecError, ValueError) as error:
            raise InputError(f"the snapshot is damaged: {type(error).__name__}") from None
        if memory.scheme_id != scheme.id:
            raise InputError("the snapshot belongs to another scheme or other parameters")
        if party.policy is not None:
            party.policy.check_keeps(began_with)
        policy = began_with if party.policy is None else party.policy
        client = cls(scheme, context, memory.participant, replace(party, policy=policy))
        memory.policy = policy.values
        states = {state.value: state for state in (*Terminal, *client.transitions.values())}
        if memory.state not in states:
            raise InputError("the snapshot is damaged: unknown state")
        client.state = states[memory.state]
        client._memory = memory
        client.abort_reason = memory.abort_reason
        return client
