"""A server that is killed between any two writes is rebuilt from its journal, and sends the same bytes again."""

import contextlib
import os
from concurrent.futures import ThreadPoolExecutor

import pytest
from msgspec.structs import replace

from secagg_he import ThresholdCkks
from secagg_protocols import (
    SERVER,
    Aggregator,
    Bonawitz,
    DurableServer,
    InputError,
    LateMessage,
    LocalError,
    ProtocolViolation,
    RoundContext,
    RoundFailed,
    StateError,
    Step,
    WorkerLost,
    Workers,
)
from secagg_protocols.core.journal import Journal

PARTICIPANTS = 4


class Killed(BaseException):
    """The process is gone: nothing of ours may catch it."""


class Disk:
    """Counts what is written and synced; `at` kills the process at that one, with half of it on disk.

    A process that dies loses nothing that it wrote, so nothing is really synced.
    """

    def __init__(self, monkeypatch):
        self.count, self.at, self._write = 0, None, os.write
        monkeypatch.setattr(os, "write", self.write)
        monkeypatch.setattr(os, "fsync", self.fsync)

    def _dies(self):
        self.count += 1
        return self.count == self.at

    def write(self, descriptor, data):
        if self._dies():
            self._write(descriptor, bytes(data)[: len(data) // 2])
            raise Killed
        return self._write(descriptor, data)

    def fsync(self, descriptor):
        if self._dies():
            raise Killed


@pytest.fixture(autouse=True)
def disk(monkeypatch):
    """What the server writes to."""
    return Disk(monkeypatch)


class Federation:
    """Participants that answer the same request with the same bytes, and a server that may be made again and again.

    Participant 4 vanishes before it sends its vector, so that something has to be recovered.
    """

    def __init__(self, running, folder, gone=4):
        self.running, self.folder, self.gone = running, folder, gone
        self.answers, self.sent = {}, {}
        self.made = contextlib.nullcontext()

    def live(self):
        """Make the server and take the round to its end, as one process."""
        self.made = contextlib.closing(self.server())
        self.finish(self.made.thing)

    def server(self):
        """Make the server from what is on disk, as a new process does. It draws from the operating system."""
        running, handle = self.running, self.running.server._standing
        return DurableServer(
            self.folder,
            running.scheme,
            running.server.context,
            Aggregator(identity=running.identities.get(SERVER), roster=running.roster, standing=handle),
        )

    def answer(self, participant, request):
        """Return a participant's answers to a request (None: to the start), the same however often it is asked."""
        key = participant, None if request is None else request.to_bytes()
        if key not in self.answers:
            client = self.running.clients[participant]
            envelopes = self.running._start(client) if request is None else client.receive(request)
            if client.awaits_vector and participant != self.gone:
                envelopes += client.contribute(self.running.vectors[participant])
            self.answers[key] = [envelope.to_bytes() for envelope in envelopes]
        return self.answers[key]

    def note(self, outgoing):
        """Check that what is sent is what was sent before, byte for byte."""
        for position, envelope in enumerate(outgoing):
            data = envelope.to_bytes()
            assert self.sent.setdefault((envelope.kind, position), data) == data

    def finish(self, server):
        """Take the round to its end, from wherever the server is; return the server."""
        outgoing = server.start()
        while server.output is None:
            self.note(outgoing)
            first = server.machine.step is self.running.scheme.steps[0]
            requests = [(who, None) for who in self.running.clients] if first else []
            for who, request in requests + [(envelope.recipient, envelope) for envelope in outgoing]:
                for data in self.answer(who, request):
                    self.offer(server, data)
            outgoing = server.advance()
        return server

    @staticmethod
    def offer(server, data):
        with contextlib.suppress(StateError, LateMessage):  # it had come before the crash
            server.receive(data)


@pytest.fixture
def federation(case, make_round, tmp_path):
    """A round of four whose server is kept on disk."""
    scheme = case.make(PARTICIPANTS, 5)
    return Federation(make_round(scheme), tmp_path / "round")


def check(federation, server):
    """The sum is the one over everyone but participant 4."""
    federation.running.server = server.machine
    federation.running.check()
    assert server.output.survivors == (1, 2, 3)


def test_killed_between_any_two_writes_the_server_goes_on_with_the_same_bytes(case, make_round, tmp_path, disk):
    scheme = case.make(PARTICIPANTS, 5)
    whole = Federation(make_round(scheme), tmp_path / "whole")
    disk.count = 0
    check(whole, whole.finish(whole.server()))
    writes = disk.count
    assert writes > 2 * PARTICIPANTS
    for point in range(1, writes + 1):
        federation = Federation(make_round(scheme), tmp_path / str(point))
        disk.count, disk.at = 0, point
        with pytest.raises(Killed):
            federation.live()
        disk.at = None
        with federation.made:  # a process that ends lets go of its files
            pass
        rebuilt = federation.server()
        check(federation, federation.finish(rebuilt))
        rebuilt.close()


def test_a_finished_round_is_there_again(federation):
    federation.finish(federation.server()).close()
    again = federation.server()
    check(federation, again)
    assert again.start() == []
    with pytest.raises(StateError):
        again.advance()
    again.forget()
    assert federation.server().output is None


def test_killed_after_every_call_the_server_goes_on(federation):
    """A new process for every message, as some runtimes have it."""
    straight = federation.finish(federation.server())
    total, expected = straight.output.total.tolist(), dict(federation.sent)
    straight.forget()
    scheme = federation.running.scheme
    repeats = scheme.name not in ("secagg-plus", "threshold-ckks")  # a new round draws another graph or challenge
    if not repeats:
        federation = Federation(type(federation.running)(scheme), federation.folder)
    server = federation.server()
    outgoing = server.start()
    while server.output is None:
        first = server.machine.step is federation.running.scheme.steps[0]
        requests = [(who, None) for who in federation.running.clients] if first else []
        for who, request in requests + [(envelope.recipient, envelope) for envelope in outgoing]:
            for data in federation.answer(who, request):
                server.close()
                server = federation.server()
                server.receive(data)
        server.close()
        server = federation.server()
        outgoing = server.advance()
        if repeats:
            assert all(expected[envelope.kind, at] == envelope.to_bytes() for at, envelope in enumerate(outgoing))
        server.close()
        server = federation.server()
        if server.output is None:
            assert [envelope.to_bytes() for envelope in server.start()] == [one.to_bytes() for one in outgoing]
    assert server.output.total.tolist() == total


def test_a_participant_dropped_for_what_it_sent_stays_dropped(federation):
    server = federation.server()
    server.start()
    running = federation.running
    step = running.scheme.steps[0]
    if step is not Step.ADVERTISE_KEYS:
        pytest.skip("no keys to spoil")
    (honest,) = federation.answer(1, None)
    message = running.server.open(running.parse(honest))
    bad = replace(message, channel_key=bytes(len(message.channel_key)))  # no point, or one that gives no secret
    bad = running.clients[1].seal(step.value, SERVER, bad)
    with pytest.raises(ProtocolViolation):
        server.receive(bad.to_bytes())
    dropped = dict(server.machine.dropped)
    assert set(dropped) == {1}
    server.close()
    again = federation.server()
    assert dict(again.machine.dropped) == dropped
    with pytest.raises(LateMessage):
        again.receive(honest)


def test_a_round_that_failed_stays_failed(federation):
    server = federation.server()
    server.start()
    with pytest.raises(RoundFailed) as failed:
        server.advance()
    server.close()
    again = federation.server()
    assert str(again.machine.failure) == str(failed.value)
    assert again.start() == []
    with pytest.raises(StateError):
        again.advance()


def test_a_round_has_one_server_at_a_time(federation):
    server = federation.server()
    with pytest.raises(LocalError, match="in use"):
        federation.server()
    server.close()
    federation.server().close()


def test_another_round_s_journal_is_refused(federation):
    federation.server().close()
    held, context = federation.running.server, federation.running.server.context
    others = [
        RoundContext(context.job, context.round + 1, context.context_digest),
        RoundContext("another job", context.round, context.context_digest),
        RoundContext(context.job, context.round, b"\x09" * 32),
    ]
    for other in others:
        held.context = other
        with pytest.raises(InputError, match="another round"):
            federation.server()


def test_a_journal_that_makes_another_server_is_refused(federation):
    """Another version of the program, say: participants would be sent other bytes than before."""
    if len(federation.running.scheme.steps) == 1:
        pytest.skip("nothing is sent to participants")
    server = federation.finish(federation.server())
    name = server._journal._header[-32:]
    server.close()
    journal = Journal(federation.folder / "journal", name)
    entries = list(journal.entries())
    journal.close()
    (federation.folder / "journal").unlink()
    journal = Journal(federation.folder / "journal", name)
    assert list(journal.entries()) == []
    for entry in entries[:1] + entries[2:]:  # as if the first message had never come
        journal.append(entry)
    journal.close()
    with pytest.raises(InputError, match="does not make the server that wrote it"):
        federation.server()


def test_a_server_that_held_more_uploads_than_by_default_goes_on(make_round, tmp_path, monkeypatch):
    """The refusal of an upload asks for more room; what was let in then must be let in again."""
    monkeypatch.setattr("secagg_protocols.core.machine.HELD_BYTES", 1)
    monkeypatch.setattr("secagg_protocols.packing.blocks.BLOCK_BYTES", 64)
    federation = Federation(make_round(Bonawitz(3, 100, threshold=3)), tmp_path / "round", gone=None)
    server = federation.server()
    server.machine.held_bytes = 1 << 30
    outgoing = server.start()
    while server.machine.step is not Step.MASKED_INPUT:
        first = server.machine.step is Step.ADVERTISE_KEYS
        requests = [(who, None) for who in federation.running.clients] if first else []
        for who, request in requests + [(envelope.recipient, envelope) for envelope in outgoing]:
            for data in federation.answer(who, request):
                server.receive(data)
        outgoing = server.advance()
    blocks = [federation.answer(envelope.recipient, envelope) for envelope in outgoing]
    for sent in blocks:
        server.receive(sent[0])
    server.close()
    again = federation.server()
    assert again.machine.uploads_at_once == 1  # as it is made: nobody new is let in
    for sent in blocks:
        for data in sent[1:]:
            again.receive(data)
    for envelope in again.advance():
        for data in federation.answer(envelope.recipient, envelope):
            again.receive(data)
    again.advance()
    assert again.output.survivors == (1, 2, 3)


def test_a_journal_of_a_server_that_lost_a_worker_makes_that_server(make_round, tmp_path):
    """What is drawn before a worker is lost is not drawn again when the call is made again."""
    pool = ThreadPoolExecutor(1)
    pool.shutdown()
    for number, scheme in enumerate((Bonawitz(4, 50, threshold=2), ThresholdCkks(4, 50, threshold=2))):
        federation = Federation(make_round(scheme), tmp_path / str(number))
        server = federation.server()
        server.machine.workers = Workers(pool, server.machine.workers.parts)
        with pytest.raises(WorkerLost):
            federation.finish(server)
        server.machine.workers = Workers(None, server.machine.workers.parts)
        server.advance()
        server.close()
        check(federation, federation.server())
