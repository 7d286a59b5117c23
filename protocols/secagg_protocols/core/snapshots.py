"""One identity's folder: the ledger of what it has answered, and one record for each session.

Everything is on disk (fsync) before it is relied on, under one lock per identity, so that two sessions that run at once
cannot both be answered for the same model. Out of scope: a disk rolled back by its owner, and network file systems
without working locks.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from ..errors import InputError, StateError
from ..primitives.domain import Use, digest
from . import storage
from .context import RoundContext
from .ledger import Answered

T = TypeVar("T")

_FORMAT = b"secagg store 3\n"
_LEDGER = "ledger"

_WITHOUT_LEDGER = (
    "it is not known what this participant has answered; put it back from a backup made after its last round, or move "
    "it away and take part only with models that were never asked about, as an old question would be answered again"
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

    def __init__(self, folder: Path | str) -> None:
        self._folder = Path(folder)
        storage.make_folder(self._folder)
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
