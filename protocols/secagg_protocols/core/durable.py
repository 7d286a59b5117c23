"""A participant that survives restarts and never answers twice.

FL runtimes start a fresh process for every message. `DurableClient` restores the machine, lets it take one step, and
writes the new snapshot *and* the answers to disk (fsync) before any of them leaves. After a crash the stored answer
is sent again, byte for byte; a different request for a step already answered is refused. All of this happens under
one lock per identity, so two sessions that run at once cannot both be answered for the same model.

Out of scope: a disk rolled back by its owner, and network file systems without working locks.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from ..errors import InputError, ProtocolViolation, SecAggError, StateError
from ..primitives.domain import Use, digest, frame, id_field
from ..primitives.randomness import SYSTEM, Randomness
from . import storage
from .identity import Identity, Roster
from .ledger import Answered
from .machine import Client, Terminal
from .scheme import Output, Policy, RoundContext, Scheme
from .wire import Envelope

T = TypeVar("T")

_START, _CONTRIBUTE = b"start", b"contribute"
_FORMAT = b"secagg store 2\n"
_LEDGER = "ledger"


_WITHOUT_LEDGER = (
    "it is not known what this participant has answered; restore it from a backup, or move it away and take part only "
    "with models that were never asked about, as an old question would be answered again"
)
_WITHOUT_SESSION = "delete it; this participant then misses the round and takes part in the next"


class Record(msgspec.Struct, frozen=True, array_like=True):
    """One session on disk. generation: counts saves. request: hash of the last request answered. answers: what it got.

    before: hash of the request before a `contribute`: when it is delivered again, the vector's answer is due, and
    earlier, what it was answered at once.
    """

    generation: int
    snapshot: bytes
    request: bytes
    answers: tuple[bytes, ...]
    before: bytes = b""
    earlier: tuple[bytes, ...] = ()

    def __repr__(self) -> str:
        return f"Record(generation={self.generation}, <redacted>)"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [("secrets", "<redacted>")]


class SnapshotStore:
    """One identity's folder: a lock, its ledger of answers, one record per session. Readable by its owner alone."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        storage.make_folder(folder)
        self._thread = threading.RLock()
        self._held = False

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the identity's lock. Reentrant for the thread that holds it; other threads and processes wait."""
        with self._thread:
            if self._held:
                yield
                return
            descriptor = storage.open_locked(self._folder / "lock")
            try:
                self._held = True
                yield
            finally:
                self._held = False
                os.close(descriptor)

    def claim(self, context: RoundContext, reruns: int, session: bytes) -> None:
        """Record an answer durably (see `ledger.ContributionLedger`)."""
        with self._answering() as answered:
            answered.claim(context, reruns, session)

    def settle(self, subject: bytes, choice: bytes) -> None:
        """Record a choice durably (see `ledger.ContributionLedger`)."""
        with self._answering() as answered:
            answered.settle(subject, choice)

    @contextmanager
    def _answering(self) -> Iterator[Answered]:
        """Yield what was answered; what is then added is on disk when the block is left, unless it raises."""
        with self.locked():
            answered = self._read(_LEDGER, Answered) or Answered()
            yield answered
            self._write(_LEDGER, msgspec.msgpack.encode(answered))

    def load(self, session: str) -> Record | None:
        """Return a session's record, if there is one. Raises `InputError` when it is damaged."""
        return self._read(session, Record)

    def save(self, session: str, record: Record) -> None:
        """Write a record so that it survives a crash. Raises `StateError` unless it is the next generation."""
        with self.locked():
            stored = self.load(session)
            if record.generation != (stored.generation if stored else 0) + 1:
                raise StateError("another process has moved this session on; load it again")
            self._write(session, msgspec.msgpack.encode(record))

    def forget(self, session: str) -> None:
        """Delete a session that is over. The ledger keeps what it needs."""
        with self.locked():
            (self._folder / session).unlink(missing_ok=True)

    def _read(self, name: str, kind: type[T]) -> T | None:
        try:
            data = (self._folder / name).read_bytes()
        except FileNotFoundError:
            return None
        body = data[len(_FORMAT) + 32 :]
        try:
            if data != self._framed(name, body):
                raise ValueError
            return msgspec.msgpack.decode(body, type=kind)
        except (msgspec.MsgspecError, ValueError):
            raise InputError(
                f"{self._folder / name} is damaged, or of another version of secagg: "
                + (_WITHOUT_LEDGER if name == _LEDGER else _WITHOUT_SESSION)
            ) from None

    def _write(self, name: str, data: bytes) -> None:
        storage.replace(self._folder / name, self._framed(name, data))

    def _framed(self, name: str, body: bytes) -> bytes:
        return _FORMAT + digest(Use.STORED_FILE, name, body) + body


class DurableClient:
    """A participant's side of one round, kept in a `SnapshotStore` between calls.

    Make it anew in every process with the same arguments; it finds its session by scheme, participant and context. With
    `early_keys` it may be made, and `start`ed, before the context's digest is known, and later with it.
    Takes and returns encoded envelopes. now: the time, where the roster's entries are valid for a time only. Raises
    what `machine.Client` raises.
    """

    def __init__(
        self,
        store: SnapshotStore,
        scheme: Scheme,
        participant: int,
        context: RoundContext,
        *,
        identity: Identity | None = None,
        roster: Roster | None = None,
        policy: Policy = Policy(),  # noqa: B008  (frozen)
        randomness: Randomness = SYSTEM,
        group_key: object | None = None,
        now: datetime | None = None,
    ) -> None:
        self._store, self._scheme, self._participant, self._context = store, scheme, participant, context
        self._identity, self._roster, self._policy, self._randomness = identity, roster, policy, randomness
        self._group_key, self._now = group_key, now
        address = scheme.address(context, roster)
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
        """Leave the round; return what tells the server so (see `machine.Client.abort`)."""
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
            return self._scheme.client(
                self._participant,
                self._context,
                identity=self._identity,
                roster=self._roster,
                policy=self._policy,
                randomness=self._randomness,
                ledger=self._store,
                group_key=self._group_key,
                now=self._now,
            )
        client = self._scheme.restore(
            record.snapshot,
            identity=self._identity,
            roster=self._roster,
            policy=self._policy,
            randomness=self._randomness,
            ledger=self._store,
            group_key=self._group_key,
            now=self._now,
        )
        if self._context.known:
            client.bind_context(self._context.context_digest)
        return client
