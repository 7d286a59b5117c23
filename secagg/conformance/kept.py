"""A round whose server is kept on disk, and a disk that dies with it."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import pytest

from secagg_protocols import SERVER, Aggregator, DurableServer, Envelope, LateMessage, StateError

from .driver import Rehearsal

PARTICIPANTS = 4


class Killed(BaseException):
    """The process is gone: nothing of ours may catch it."""


class Disk:
    """Counts what is written and synced; `at` kills the process at that one, with half of it on disk.

    A process that dies loses nothing that it wrote, so nothing is really synced.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        self.at: int | None = None
        self._write = os.write
        monkeypatch.setattr(os, "write", self.write)
        monkeypatch.setattr(os, "fsync", self.fsync)

    def _dies(self) -> bool:
        self.count += 1
        return self.count == self.at

    def write(self, descriptor: int, data: bytes) -> int:
        if self._dies():
            self._write(descriptor, bytes(data)[: len(data) // 2])
            raise Killed
        return self._write(descriptor, data)

    def fsync(self, descriptor: int) -> None:
        if self._dies():
            raise Killed


class Federation:
    """Participants that answer the same request with the same bytes, and a server that may be made again and again.

    Participant 4 vanishes before it sends its vector, so that something has to be recovered, where it can be.
    """

    def __init__(self, running: Rehearsal, folder: Path, gone: int | None = 4) -> None:
        self.running = running
        self.folder = folder
        self.gone = gone if running.scheme.quorum < running.scheme.participants else None
        self.answers: dict[tuple[int, bytes | None], list[bytes]] = {}
        self.sent: dict[tuple[str, int], bytes] = {}
        self.made: contextlib.AbstractContextManager[object] = contextlib.nullcontext()

    def live(self) -> None:
        """Make the server and take the round to its end, as one process."""
        server = self.server()
        self.made = contextlib.closing(server)
        self.finish(server)

    def server(self) -> DurableServer:
        """Make the server from what is on disk, as a new process does. It draws from the operating system."""
        running = self.running
        handle = running.server._standing
        return DurableServer(
            self.folder,
            running.scheme,
            running.server.context,
            Aggregator(identity=running.identities.get(SERVER), roster=running.roster, standing=handle),
        )

    def answer(self, participant: int, request: Envelope | None) -> list[bytes]:
        """Return a participant's answers to a request (None: to the start), the same however often it is asked."""
        key = participant, None if request is None else request.to_bytes()
        if key not in self.answers:
            client = self.running.clients[participant]
            envelopes = self.running._start(client) if request is None else client.receive(request)
            if client.awaits_vector and participant != self.gone:
                envelopes += self.running.noise.contribute(client, self.running.vectors[participant])
            self.answers[key] = [envelope.to_bytes() for envelope in envelopes]
        return self.answers[key]

    def note(self, outgoing: list[Envelope]) -> None:
        """Check that what is sent is what was sent before, byte for byte."""
        for position, envelope in enumerate(outgoing):
            data = envelope.to_bytes()
            assert self.sent.setdefault((envelope.kind, position), data) == data

    def finish(self, server: DurableServer) -> DurableServer:
        """Take the round to its end, from wherever the server is; return the server."""
        outgoing = server.start()
        while server.output is None:
            self.note(outgoing)
            first = server.machine.step is self.running.scheme.steps[0]
            requests: list[tuple[int, Envelope | None]] = [(who, None) for who in self.running.clients] if first else []
            for who, request in requests + [(envelope.recipient, envelope) for envelope in outgoing]:
                for data in self.answer(who, request):
                    self.offer(server, data)
            outgoing = server.advance()
        return server

    @staticmethod
    def offer(server: DurableServer, data: bytes) -> None:
        with contextlib.suppress(StateError, LateMessage):  # it had come before the crash
            server.receive(data)


def check(federation: Federation, server: DurableServer) -> None:
    """The sum is the one over everyone but participant 4, where it may vanish."""
    federation.running.server = server.machine
    federation.running.check()
    assert server.output is not None
    assert server.output.survivors == tuple(who for who in range(1, PARTICIPANTS + 1) if who != federation.gone)
