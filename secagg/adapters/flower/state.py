"""A participant's memory between messages, where it has no folder of its own: the Context's state.

Enough against a server that follows the protocol, and no more: the state belongs to a run (or a series of runs), and a
SuperNode that is sent two messages at once may start two processes from one state. `secagg-store` withstands both.
"""

from __future__ import annotations

from flwr.app import ConfigRecord, RecordDict

from secagg.round.store import MappingStore
from secagg_protocols.core.snapshots import Record

RECORD = "secagg"


class ContextStore(MappingStore):
    """A store in a ConfigRecord of the state, made when it is missing.

    Answers are not kept, and so not repeated: a message that comes twice is refused. (But for the first: keys that got
    lost on their way are asked for again.)
    """

    def __init__(self, state: RecordDict) -> None:
        super().__init__(state.setdefault(RECORD, ConfigRecord()))

    def save(self, session: str, record: Record) -> None:
        repeated = record.generation <= 1
        super().save(session, record if repeated else Record(record.generation, record.snapshot, b"", ()))
