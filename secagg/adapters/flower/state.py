"""A participant's memory between messages, where it has no folder of its own: the Context's state.

Enough against a server that follows the protocol, and no more: the state belongs to a run (or a series of runs), and a
SuperNode that is sent two messages at once may start two processes from one state. `secagg-store` withstands both.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import msgspec
from flwr.app import ConfigRecord, RecordDict

from secagg_protocols import SnapshotStore
from secagg_protocols.durable import Record
from secagg_protocols.ledger import Answered

RECORD = "secagg"
_LEDGER, _SESSION, _AHEAD = "ledger", "session", "ahead"


class ContextStore(SnapshotStore):
    """A `SnapshotStore` in a ConfigRecord of the state. One session at a time, and early keys for the next.

    Answers are not kept, and so not repeated: a message that comes twice is refused. (But for the first: keys that got
    lost on their way are asked for again.)
    """

    def __init__(self, state: RecordDict) -> None:
        self._record = record_in(state)

    @contextmanager
    def locked(self) -> Iterator[None]:
        yield

    @contextmanager
    def _answering(self) -> Iterator[Answered]:
        stored = self._record.get(_LEDGER)
        answered = msgspec.msgpack.decode(stored, type=Answered) if stored else Answered()
        yield answered
        self._record[_LEDGER] = msgspec.msgpack.encode(answered)

    def load(self, session: str) -> Record | None:
        stored = self._record.get(session)
        return msgspec.msgpack.decode(stored, type=Record) if stored else None

    def save(self, session: str, record: Record) -> None:
        if record.generation > 1:
            record = Record(record.generation, record.snapshot, b"", ())
        self._record[session] = msgspec.msgpack.encode(record)

    def forget(self, session: str) -> None:
        self._record.pop(session, None)


def record_in(state: RecordDict) -> ConfigRecord:
    """Return our record in a Context's state, made when it is missing."""
    if RECORD not in state:
        state[RECORD] = ConfigRecord()
    return state[RECORD]


def turn_to(session: str, state: RecordDict, store: SnapshotStore) -> None:
    """Make `session` the one at hand: what is left of an earlier one (its secrets, where it broke off) is deleted, and
    so are early keys of a round that is not this one."""
    record = record_in(state)
    if record.get(_SESSION) == session:
        return
    for name in (_SESSION, _AHEAD):
        if (earlier := record.pop(name, None)) not in (None, session):
            store.forget(earlier)
    record[_SESSION] = session


def keep_ahead(session: str, state: RecordDict) -> None:
    """Remember the session whose keys are made early, so that it is deleted when its round is passed."""
    record_in(state)[_AHEAD] = session
