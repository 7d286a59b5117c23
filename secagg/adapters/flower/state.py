"""A participant's memory between messages, where it has no folder of its own: the Context's state.

Enough against a server that follows the protocol, and no more: the state belongs to a run (or a series of runs), and a
SuperNode that is sent two messages at once may start two processes from one state. `secagg-store` withstands both.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

import msgspec
from flwr.app import ConfigRecord, RecordDict

from secagg.round import SiteStore
from secagg_protocols import InputError
from secagg_protocols.core.snapshots import Record

T = TypeVar("T")

RECORD = "secagg"


class ContextStore(SiteStore):
    """A `SiteStore` in a ConfigRecord of the state, made when it is missing.

    Answers are not kept, and so not repeated: a message that comes twice is refused. (But for the first: keys that got
    lost on their way are asked for again.)
    """

    def __init__(self, state: RecordDict) -> None:
        if RECORD not in state:
            state[RECORD] = ConfigRecord()
        self._record = state[RECORD]

    @contextmanager
    def locked(self) -> Iterator[None]:
        yield

    def save(self, session: str, record: Record) -> None:
        if record.generation > 1:
            record = Record(record.generation, record.snapshot, b"", ())
        super().save(session, record)

    def forget(self, session: str) -> None:
        self._record.pop(session, None)

    def _read(self, name: str, kind: type[T]) -> T | None:
        stored = self._record.get(name)
        try:
            return None if stored is None else msgspec.msgpack.decode(stored, type=kind)
        except msgspec.MsgspecError:
            raise InputError(
                f"{name} in this node's state is of another version of secagg: start another run"
            ) from None

    def _write(self, name: str, data: bytes) -> None:
        self._record[name] = data
