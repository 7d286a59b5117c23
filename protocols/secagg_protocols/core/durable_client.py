"""A participant that survives restarts and never answers twice.

FL runtimes start a fresh process for every message. `DurableClient` restores the machine, lets it take one step, and
writes the new snapshot *and* the answers to disk (fsync) before any of them leaves. After a crash the stored answer
is sent again, byte for byte; a different request for a step already answered is refused. All of this happens under
one lock per identity (see `snapshots`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ..errors import ProtocolViolation, SecAggError
from ..packing.sums import Output
from ..primitives.domain import Use, digest, frame, id_field
from .client import Client
from .context import RoundContext
from .machine import Terminal
from .party import Participant
from .policy import Policy
from .scheme import Scheme
from .snapshots import Record, SnapshotStore
from .wire import Envelope

_START = b"start"
_CONTRIBUTE = b"contribute"


class DurableClient:
    """A participant's side of one round, kept in a `SnapshotStore` between calls.

    Make it anew in every process with the same arguments; it finds its session by scheme, participant and context. With
    `early_keys` it may be made, and `start`ed, before the context's digest is known, and later with it.
    Takes and returns encoded envelopes. party: its ledger is the store, unless it has one, which must ask the store in
    turn. Raises what `client.Client` raises.
    """

    def __init__(
        self,
        store: SnapshotStore,
        scheme: Scheme,
        participant: int,
        context: RoundContext,
        party: Participant = Participant(),  # noqa: B008  (frozen)
    ) -> None:
        self._store = store
        self._scheme = scheme
        self._participant = participant
        self._context = context
        self._party = replace(party, ledger=party.ledger or store, policy=party.policy or Policy())
        address = scheme.address(context, party.roster)
        # Early keys must be found again when it is known what the round is about: no digest names their session.
        about = b"" if scheme.early_keys else context.context_digest
        self.session = digest(Use.STORED_SESSION, address, about, id_field(participant)).hex()
        self._make(None)  # a scheme that this participant's policy refuses is refused now

    @property
    def awaits_vector(self) -> bool:
        """Whether `contribute` is the next thing to do."""
        record = self._store.load(self.session)
        return record is not None and self._make(record).awaits_vector

    @property
    def done(self) -> bool:
        """Whether everything has been answered."""
        record = self._store.load(self.session)
        return record is not None and self._make(record).state is Terminal.DONE

    @property
    def output(self) -> Output | None:
        """The sum, where the scheme gives it to the participants, once it is there."""
        record = self._store.load(self.session)
        return None if record is None else self._make(record).output

    @property
    def machine(self) -> Client:
        """The machine as it is kept, to be looked at."""
        return self._make(self._store.load(self.session))

    def start(self) -> list[bytes]:
        """Begin the round, or return again what was sent when it began."""
        return self._step(_START, lambda client: client.start())

    def receive(self, data: bytes) -> list[bytes]:
        """Take one envelope's bytes; return the answers' bytes."""
        return self.receive_all([data])

    def receive_all(self, request: Sequence[bytes]) -> list[bytes]:
        """Take all envelopes of one request, as one step: the request is answered in full and, where it comes again,
        again; or it is refused, and nothing of it was taken. Return the answers' bytes."""
        envelopes = [Envelope.from_bytes(data, self._scheme.envelope_limit) for data in request]

        def turn(client: Client) -> list[Envelope]:
            return [answer for envelope in envelopes for answer in client.receive(envelope)]

        return self._step(frame(*request), turn)

    def contribute(self, vector: NDArray[np.generic]) -> list[bytes]:
        """Give the vector. Once: a second call returns the stored answer, whatever the vector."""
        return self._step(_CONTRIBUTE, lambda client: client.contribute(vector))

    def abort(self, why: SecAggError | None = None) -> list[bytes]:
        """Leave the round; return what tells the server so (see `Client.abort`)."""
        with self._store.locked():
            record = self._store.load(self.session)
            client = self._make(record)
            told = [envelope.to_bytes() for envelope in client.abort(why)]
            if told:
                self._save(record, client, b"", ())
            return told

    def _step(self, request: bytes, turn: Callable[[Client], list[Envelope]]) -> list[bytes]:
        request_digest = hashlib.sha256(request).digest()
        with self._store.locked():
            record = self._store.load(self.session)
            client = self._make(record)  # also where the answer is there: it must be one for this context
            if record is not None and request_digest == record.request:
                return list(record.answers)
            if record is not None and request_digest == record.before:
                return [*record.earlier, *record.answers]
            try:
                answers = tuple(envelope.to_bytes() for envelope in turn(client))
            except ProtocolViolation:
                self._save(record, client, b"", ())  # aborted stays aborted
                raise
            self._save(record, client, request_digest, answers)
            return list(answers)

    def _save(self, record: Record | None, client: Client, request: bytes, answers: tuple[bytes, ...]) -> None:
        generation = 1 if record is None else record.generation + 1
        before: tuple[bytes, tuple[bytes, ...]] = (b"", ())
        if record is not None and request == hashlib.sha256(_CONTRIBUTE).digest():
            before = record.request, record.answers
        self._store.save(self.session, Record(generation, client.snapshot(), request, answers, *before))

    def _make(self, record: Record | None) -> Client:
        if record is None:
            return self._scheme.client(self._participant, self._context, self._party)
        client = self._scheme.restore(record.snapshot, self._party)
        if self._context.known:
            client.bind_context(self._context.context_digest)
        return client
