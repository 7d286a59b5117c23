"""A server that can be rebuilt after a crash, from what it drew and what it received.

A machine has no clock and no other source of chance: what it was made with, what it drew, the envelopes it took and
when it was told to close a step are all of its state. `DurableServer` writes these down, each before anything that
depends on it leaves. Made anew in the same folder it replays them and goes on, and sends the same envelopes again, byte
for byte; participants that remember what they answered (`DurableClient`) answer the same. A crash costs no round.

The journal holds what a server sees: the uploads, the shares that were opened, the draws. It is readable by its owner
alone, and as secret as the server's memory. Out of scope: a journal shortened by its owner. (Participants do not rely
on it: their own ledgers keep them from answering otherwise.)
"""

from __future__ import annotations

import hashlib
import sys
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Any

import msgspec

from ..errors import InputError, ProtocolViolation, RoundFailed, SecAggError
from ..packing.sums import Output
from ..primitives.domain import Use, digest, frame
from ..primitives.randomness import Randomness
from . import storage
from .context import RoundContext
from .journal import Journal
from .party import Aggregator
from .scheme import Scheme
from .server import Server
from .wire import Envelope


class Event(StrEnum):
    """What can happen to a server."""

    STARTED = "started"
    RECEIVED = "received"
    CLOSED = "closed"


class Entry(msgspec.Struct, frozen=True, array_like=True):
    """One event. drawn: what the machine drew for it. envelope: what it took. sent: digest of what it then sent."""

    event: Event
    drawn: tuple[bytes, ...]
    envelope: bytes
    sent: bytes

    def __repr__(self) -> str:
        return f"Entry({self.event}, <redacted>)"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [("secrets", "<redacted>")]


class RememberedDraws:
    """The one door, for a machine whose draws are written down: those of before come again, then fresh ones."""

    def __init__(self, source: Randomness) -> None:
        self._source = source
        self._before: deque[bytes] = deque()
        self._fresh: list[bytes] = []

    def remember(self, drawn: Iterable[bytes]) -> None:
        """Give these bytes again before any fresh ones."""
        self._before.extend(drawn)

    @property
    def exhausted(self) -> bool:
        """Whether all that was drawn before has been drawn again, and nothing beyond it."""
        return not self._before and not self._fresh

    def take_fresh(self) -> tuple[bytes, ...]:
        """Return what was drawn since this was last asked."""
        fresh = tuple(self._fresh)
        self._fresh = []
        return fresh

    def bytes(self, count: int) -> bytes:
        if not self._before:
            self._fresh.append(self._source.bytes(count))
            return self._fresh[-1]
        drawn = self._before.popleft()
        if len(drawn) != count:
            raise InputError(f"{count} bytes are drawn where it were {len(drawn)}")
        return drawn

    def __repr__(self) -> str:
        return "RememberedDraws(<redacted>)"


class DurableServer:
    """The server's side of one round, kept in a folder of its own. Made anew with the same arguments, it goes on.

    `machine` is the server, to be looked at (`waiting_for`, `ready`, …); it is driven through this class alone.
    Arguments as for `Scheme.server`. Raises `InputError` for a journal that is damaged, or not this round's.
    """

    def __init__(
        self,
        folder: Path | str,
        scheme: Scheme,
        context: RoundContext,
        party: Aggregator = Aggregator(),  # noqa: B008  (frozen)
    ) -> None:
        self._path = Path(folder) / "journal"
        storage.make_folder(self._path.parent)
        self._draws = RememberedDraws(party.randomness)
        self.machine: Server = scheme.server(context, replace(party, randomness=self._draws))
        name = digest(Use.JOURNAL, scheme.address(context, party.roster), context.context_digest)
        self._journal = Journal(self._path, name)
        self._resumed = False
        self._outgoing: list[Envelope] = []
        room, self.machine.held_bytes = self.machine.held_bytes, sys.maxsize  # what was let in once is let in again
        try:
            for content in self._journal.entries():
                self._replay(content)
            self.machine.held_bytes = room
        except BaseException:
            self.close()
            raise

    @property
    def output(self) -> Output | None:
        """The result, once there is one."""
        return self.machine.output

    def start(self) -> list[Envelope]:
        """Begin the round; return what goes out. After a crash: what the open step began with, to be sent again."""
        if self._resumed:
            return self._outgoing
        outgoing = self.machine.start()
        self._record(Event.STARTED, outgoing)
        return outgoing

    def receive(self, data: bytes | memoryview, envelope: Envelope | None = None) -> None:
        """Take one envelope's bytes. envelope: what they were read as, where they were read before.

        Raises what `Server.receive` raises.
        """
        envelope = envelope or Envelope.from_bytes(data, self.machine.scheme.envelope_limit)
        try:
            self.machine.receive(envelope)
        except ProtocolViolation:  # its sender is dropped, and stays so
            self._record(Event.RECEIVED, (), data)
            raise
        self._record(Event.RECEIVED, (), data)

    def advance(self) -> list[Envelope]:
        """Close the open step; return what goes out next. Raises what `Server.advance` raises."""
        try:
            outgoing = self.machine.advance()
        except RoundFailed:
            self._record(Event.CLOSED, ())
            raise
        self._record(Event.CLOSED, outgoing)
        self._outgoing = []
        return outgoing

    def close(self) -> None:
        """Let go of the journal, so that the server may be made elsewhere."""
        self._journal.close()

    def forget(self) -> None:
        """Delete the journal of a round that is over."""
        self.close()
        self._path.unlink(missing_ok=True)

    def _record(self, event: Event, outgoing: Sequence[Envelope], data: bytes | memoryview = b"") -> None:
        entry = Entry(event, self._draws.take_fresh(), bytes(data), _digest_of(outgoing))
        self._journal.append(msgspec.msgpack.encode(entry))

    def _replay(self, content: bytes) -> None:
        """Let the machine live through one event again. Raises `InputError` where it does not go as it went."""
        try:
            entry = msgspec.msgpack.decode(content, type=Entry)
            self._draws.remember(entry.drawn)
            outgoing = self._again(entry)
        except (msgspec.MsgspecError, SecAggError) as error:
            raise self._unlike(str(error)) from None
        if not self._draws.exhausted or _digest_of(outgoing) != entry.sent:
            raise self._unlike("it would send other envelopes than it did")
        self._resumed = True
        if entry.event is not Event.RECEIVED:
            self._outgoing = outgoing

    def _again(self, entry: Entry) -> list[Envelope]:
        try:
            match entry.event:
                case Event.STARTED:
                    return self.machine.start()
                case Event.CLOSED:
                    return self.machine.advance()
                case Event.RECEIVED:
                    self.machine.receive(Envelope.from_bytes(entry.envelope, self.machine.scheme.envelope_limit))
        except (ProtocolViolation, RoundFailed):
            pass  # as it was the first time: a participant is dropped, or the round has failed
        return []

    def _unlike(self, why: str) -> InputError:
        return InputError(
            f"{self._path} does not make the server that wrote it ({why}): give it the same identity, keys "
            "and version of secagg, or run the round again under another number in a new folder"
        )


def _digest_of(envelopes: Sequence[Envelope]) -> bytes:
    """Return 32 bytes that name what is sent."""
    state = hashlib.sha256()
    for envelope in envelopes:
        state.update(frame(envelope.kind, envelope.recipient, envelope.signature, len(envelope.payload)))
        state.update(envelope.payload)
    return state.digest()
