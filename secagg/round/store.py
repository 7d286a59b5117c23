"""A site's memory between messages: its sessions, its ledger of answers, and what of them may be forgotten.

A session is passed when the next one of the same job has been accepted: its answers were either received or are not
wanted any more. What is left of it then (its secrets, where it broke off) is deleted, and so are early keys of a round
that is not this one. The ledger stays: it is what keeps a site from answering twice.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from typing import TypeVar

import msgspec

from secagg_protocols import InputError, SnapshotStore

T = TypeVar("T")

_FILE = "jobs"
MAX_JOBS = 64
"""Jobs whose last session is kept. A job beyond them ends the one that was quiet for longest."""


class Job(msgspec.Struct):
    """The session at hand, and the one whose keys were made early; empty where there is none."""

    session: str = ""
    ahead: str = ""


class Jobs(msgspec.Struct):
    """All jobs, the one that turned to a new session last at the end."""

    jobs: dict[str, Job] = {}


class SiteStore(SnapshotStore):
    """A `SnapshotStore` that knows which session of each job is at hand."""

    def turn_to(self, job: str, session: str) -> None:
        """Make `session` the one at hand. Call it once its first message is accepted, and not before: what is refused
        must not end a session."""
        with self.locked():
            held = self._read(_FILE, Jobs) or Jobs()
            passed = held.jobs.pop(job, Job())
            if passed.session == session:
                return
            held.jobs[job] = Job(session)
            names = {passed.session, passed.ahead}
            while len(held.jobs) > MAX_JOBS:
                quiet = held.jobs.pop(next(iter(held.jobs)))
                names |= {quiet.session, quiet.ahead}
            for name in names - {session, ""}:
                self.forget(name)
            self._write(_FILE, msgspec.msgpack.encode(held))

    def end(self, job: str) -> None:
        """Delete what is left of a job's sessions: nobody asks about them any more."""
        with self.locked():
            held = self._read(_FILE, Jobs) or Jobs()
            passed = held.jobs.pop(job, Job())
            for name in {passed.session, passed.ahead} - {""}:
                self.forget(name)
            self._write(_FILE, msgspec.msgpack.encode(held))

    def keep_ahead(self, job: str, session: str) -> None:
        """Remember the session whose keys are made early, so that it is deleted when its round is passed."""
        with self.locked():
            held = self._read(_FILE, Jobs) or Jobs()
            held.jobs.setdefault(job, Job()).ahead = session
            self._write(_FILE, msgspec.msgpack.encode(held))


class MappingStore(SiteStore):
    """A store in a mapping that a runtime keeps for the site, for one process at a time."""

    def __init__(self, kept: MutableMapping[str, bytes]) -> None:
        self._kept = kept

    @contextmanager
    def locked(self) -> Iterator[None]:
        yield

    def forget(self, session: str) -> None:
        self._kept.pop(session, None)

    def _read(self, name: str, kind: type[T]) -> T | None:
        kept = self._kept.get(name)
        try:
            return None if kept is None else msgspec.msgpack.decode(kept, type=kind)
        except msgspec.MsgspecError:
            raise InputError(
                f"{name} in this site's state is of another version of secagg: start another run"
            ) from None

    def _write(self, name: str, data: bytes) -> None:
        self._kept[name] = data


class MemoryStore(MappingStore):
    """A store that ends with its process: for sites that are simulated in one, and for nobody else."""

    def __init__(self) -> None:
        super().__init__({})
        self._thread = threading.RLock()

    @contextmanager
    def locked(self) -> Iterator[None]:
        with self._thread:
            yield
