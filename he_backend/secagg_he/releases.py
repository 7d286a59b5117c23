"""What a participant has released under a group key: one aggregate for each session, and no more than the key's budget.

Flooding noise is sized for a number of releases. Past it, nothing is released under the key any more: rotate it. Every
survivor remembers which aggregate of a session it was told of; who releases its values counts a release. The noise is
sized for the worst case, in which everyone releases as often as it may.

The count is kept by user and key id, not beside the key file: whatever becomes of the file (moved, copied, linked,
delivered again), the count goes on. It is begun when a key is saved, and a key without one is not loaded.
Out of reach of any software: a user who sets this folder back or deletes it and has the key delivered again, and
copies of a key that another user or machine keeps count of.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import msgspec

from secagg_protocols.core.snapshots import Record, SnapshotStore
from secagg_protocols.errors import SERVER, Declined, InputError, ProtocolViolation


class BudgetSpent(Declined):
    """As many sums have been released under this group key as its flooding noise is sized for, or as much of a privacy
    budget is spent as there was."""


class Releases(Protocol):
    """Where a participant's releases are remembered."""

    def claim(self, key_id: bytes, budget: int, session: bytes, aggregate: bytes, carries: bool = True) -> None:
        """Record an aggregate, durably and before the answer leaves. The same aggregate again is the same release.

        session, aggregate: 32 bytes each. carries: whether the answer carries its values; else it is only remembered.
        Raises `BudgetSpent`, and `ProtocolViolation` for a second aggregate of a session; nothing is then recorded.
        """
        ...


class Entry(msgspec.Struct, frozen=True, array_like=True):
    """One session's aggregate, and whether its values were released."""

    aggregate: bytes
    released: bool


class Released(msgspec.Struct):
    """The record itself: key id → session → its aggregate."""

    keys: dict[bytes, dict[bytes, Entry]] = {}

    def claim(self, key_id: bytes, budget: int, session: bytes, aggregate: bytes, carries: bool = True) -> None:
        """Check and record one aggregate."""
        sessions = self.keys.get(key_id, {})
        before = sessions.get(session)
        if before is not None and before.aggregate != aggregate:
            raise ProtocolViolation(
                "another aggregate of this session has been released: two of them would give away their difference",
                {SERVER},
            )
        if before is not None and (before.released or not carries):
            return
        if carries and self.count(key_id) >= budget:
            raise BudgetSpent(
                f"{self.count(key_id)} sums have been released under this group key and its noise is sized for "
                f"{budget}: rotate the key (make and deliver a new one)"
            )
        self.keys[key_id] = {**sessions, session: Entry(aggregate, carries)}

    def count(self, key_id: bytes) -> int:
        """Return how many sums were released under a key."""
        return sum(entry.released for entry in self.keys.get(key_id, {}).values())


class MemoryReleases:
    """A count that lives as long as the process: for simulations. Deployments load their key from its file."""

    def __init__(self) -> None:
        self._released = Released()

    def claim(self, key_id: bytes, budget: int, session: bytes, aggregate: bytes, carries: bool = True) -> None:
        self._released.claim(key_id, budget, session, aggregate, carries)


class FileReleases:
    """Counts in a folder, one file a key, under a lock; a count is on disk before an answer leaves."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        with self._one_line():
            self._store = SnapshotStore(folder)

    @classmethod
    def of_this_user(cls) -> FileReleases:
        """Return the counts of the user that runs this process."""
        return cls(_state_folder() / "secagg" / "releases")

    def begin(self, key_id: bytes) -> None:
        """Write an empty count, unless there is one: that one goes on."""
        with self._one_line(), self._store.locked():
            if self._record(key_id) is None:
                self._save(key_id, 1, Released())

    def claim(self, key_id: bytes, budget: int, session: bytes, aggregate: bytes, carries: bool = True) -> None:
        with self._one_line(), self._store.locked():
            generation, released = self._load(key_id)
            released.claim(key_id, budget, session, aggregate, carries)
            self._save(key_id, generation + 1, released)

    def count(self, key_id: bytes) -> int:
        """Return how many sums were released under a key. Raises `InputError` when nobody has counted."""
        with self._one_line():
            return self._load(key_id)[1].count(key_id)

    def _load(self, key_id: bytes) -> tuple[int, Released]:
        record = self._record(key_id)
        if record is None:
            raise InputError(
                f"{self._folder} holds no count of what was released under the group key {key_id.hex()}: a key is used "
                "where it was made or delivered to; point XDG_STATE_HOME to where its count is kept, or rotate the key"
            )
        try:
            return record.generation, msgspec.msgpack.decode(record.snapshot, type=Released)
        except (msgspec.MsgspecError, ValueError):
            raise self._damaged(key_id) from None

    def _record(self, key_id: bytes) -> Record | None:
        try:
            return self._store.load(key_id.hex())
        except InputError:  # not with the store's remedy: who deletes a count may begin another
            raise self._damaged(key_id) from None

    def _damaged(self, key_id: bytes) -> InputError:
        return InputError(
            f"{self._folder / key_id.hex()} is damaged, or of another version of secagg: how much was released under "
            "the group key is not known; put the file back from a backup that is as new, or rotate the key"
        )

    def _save(self, key_id: bytes, generation: int, released: Released) -> None:
        self._store.save(key_id.hex(), Record(generation, msgspec.msgpack.encode(released), b"", ()))

    @contextmanager
    def _one_line(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise InputError(
                f"{self._folder}: {error.strerror or error}: nothing is released that cannot be counted there; make it "
                "writable, or set XDG_STATE_HOME to a folder that is, and that lasts"
            ) from None


def _state_folder() -> Path:
    """Return where this user's programs keep their state: the XDG base directories."""
    named = Path(os.environ.get("XDG_STATE_HOME", ""))
    if named.is_absolute():
        return named
    try:
        return Path.home() / ".local" / "state"
    except RuntimeError:
        raise InputError("this user has no home folder: set XDG_STATE_HOME to one that lasts") from None
