"""What a participant has released under a group key: one aggregate for each session, and no more than the key's budget.

Flooding noise is sized for a number of releases. Past it, nothing is released under the key any more: rotate it.
Everyone who is asked counts, whether or not its own answer carries the values. A participant that is absent from a
round does not see that round's release, so counts may differ; the noise is sized for the worst case, in which everyone
releases as often as it may.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import msgspec

from secagg_protocols.durable import Record, SnapshotStore
from secagg_protocols.errors import SERVER, Declined, InputError, ProtocolViolation

_RECORD = "released"


class BudgetSpent(Declined):
    """As many sums have been released under this group key as its flooding noise is sized for."""


class Releases(Protocol):
    """Where a participant's releases are remembered."""

    def claim(self, key_id: bytes, budget: int, session: bytes, aggregate: bytes) -> None:
        """Record a release, durably and before the answer leaves. The same aggregate again is the same release.

        session, aggregate: 32 bytes each. Raises `BudgetSpent`, and `ProtocolViolation` for a second aggregate of a
        session; nothing is then recorded.
        """
        ...


class Released(msgspec.Struct):
    """The record itself: key id → session → the aggregate released."""

    keys: dict[bytes, dict[bytes, bytes]] = {}

    def claim(self, key_id: bytes, budget: int, session: bytes, aggregate: bytes) -> None:
        """Check and record one release."""
        sessions = self.keys.get(key_id, {})
        before = sessions.get(session)
        if before == aggregate:
            return
        if before is not None:
            raise ProtocolViolation(
                "another aggregate of this session has been released: two of them would give away their difference",
                {SERVER},
            )
        if len(sessions) >= budget:
            raise BudgetSpent(
                f"{len(sessions)} sums have been released under this group key and its noise is sized for {budget}: "
                "rotate the key (make and deliver a new one)"
            )
        self.keys[key_id] = {**sessions, session: aggregate}


class MemoryReleases:
    """A count that lives as long as the process: for simulations. Deployments load their key from its file."""

    def __init__(self) -> None:
        self._released = Released()

    def claim(self, key_id: bytes, budget: int, session: bytes, aggregate: bytes) -> None:
        self._released.claim(key_id, budget, session, aggregate)


class FileReleases:
    """A count in a folder, under a lock; it is on disk before an answer leaves."""

    def __init__(self, folder: Path) -> None:
        self._store = SnapshotStore(folder)

    def claim(self, key_id: bytes, budget: int, session: bytes, aggregate: bytes) -> None:
        with self._store.locked():
            record = self._store.load(_RECORD)
            released = Released() if record is None else _decoded(record.snapshot)
            released.claim(key_id, budget, session, aggregate)
            generation = 1 if record is None else record.generation + 1
            self._store.save(_RECORD, Record(generation, msgspec.msgpack.encode(released), b"", ()))


def _decoded(data: bytes) -> Released:
    try:
        return msgspec.msgpack.decode(data, type=Released)
    except (msgspec.MsgspecError, ValueError):
        raise InputError("the count of releases is damaged: rotate the group key") from None
