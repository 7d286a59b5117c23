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
from datetime import datetime

import msgspec

from ..errors import SERVER, AuthenticationError, ParameterError, StateError, WireError
from ..primitives.domain import VERSION, Use, digest
from .aborts import ABORT, PAYLOAD_LIMIT, Abort
from .context import RoundContext
from .exchange import ADVANCE, CONTRIBUTE, START, Binding, State, Terminal, Transitions
from .parameters import Parameters
from .party import Aggregator, Participant
from .turns import Turn
from .wire import Envelope, Message, decode, encode, signed_bytes

__all__ = ["ADVANCE", "CONTRIBUTE", "START", "Machine", "State", "Terminal", "Transitions"]


class Machine(ABC):
    """What a client and a server share: the table, the address and the signature of envelopes."""

    def __init__(self, scheme: Parameters, context: RoundContext, me: int, party: Participant | Aggregator) -> None:
        self.scheme = scheme
        self.context = context
        self.me = me
        self._turn = Turn()
        self.state: State = Terminal.NEW
        self._identity = party.identity
        self._roster = party.roster
        self._randomness = party.randomness
        self._standing = party.standing
        self.workers = party.workers
        self._address = scheme.address(context, party.roster)
        self._check_parties(party.now)

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

    @property
    @abstractmethod
    def messages(self) -> Mapping[str, type[Message]]:
        """Every kind of message that this machine may receive."""

    @property
    def _session_binding(self) -> bytes:
        """What binds messages from the session on: 32 bytes; empty, which no envelope is, where there is none yet."""
        return b""

    def _binding(self, kind: str) -> bytes:
        """Return the 32 bytes that envelopes of this kind must carry, by the table of what is exchanged."""
        match self.scheme.exchange.binding[kind]:
            case Binding.ADDRESS:
                return self._address
            case Binding.KEY_LIST:
                return self._list_binding
        return self._session_binding

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
        payload = encode(message, pieces)
        binding = self._bound_to(kind)
        suite = self.scheme.suite.id
        envelopes = [Envelope(VERSION, suite, binding, kind, self.me, to, payload, b"") for to in recipients]
        if not self.scheme.active:
            return envelopes
        assert self._identity is not None
        sign = self._identity.sign
        payload_digest = hashlib.sha256(payload).digest()
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
