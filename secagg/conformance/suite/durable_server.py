"""A server that is killed between any two writes is rebuilt from its journal, and sends the same bytes again."""

import pytest
from msgspec.structs import replace

from secagg_protocols import (
    SERVER,
    InputError,
    LateMessage,
    LocalError,
    ProtocolViolation,
    RoundContext,
    RoundFailed,
    StateError,
)
from secagg_protocols.core.journal import Journal

from ..capability import ADVERTISES_KEYS, ANSWERS, needs
from ..kept import PARTICIPANTS, Federation, Killed, check


def test_killed_between_any_two_writes_the_server_goes_on_with_the_same_bytes(case, make_round, tmp_path, disk):
    scheme = case.make(PARTICIPANTS, 5)
    whole = Federation(make_round(scheme), tmp_path / "whole")
    disk.count = 0
    check(whole, whole.finish(whole.server()))
    writes = disk.count
    assert writes > 2 * PARTICIPANTS
    for point in range(1, writes + 1):
        federation = Federation(make_round(scheme), tmp_path / str(point))
        disk.count = 0
        disk.at = point
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


def test_killed_after_every_call_the_server_goes_on(case, federation):
    """A new process for every message, as some runtimes have it."""
    straight = federation.finish(federation.server())
    total = straight.output.total.tolist()
    expected = dict(federation.sent)
    straight.forget()
    scheme = federation.running.scheme
    repeats = not case.server_draws
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


def first_key(message):
    """Return the name and the value of the first public key in a message."""
    values = {name: getattr(message, name) for name in message.__struct_fields__}
    return next((name, value) for name, value in values.items() if isinstance(value, bytes))


@needs(ADVERTISES_KEYS)
def test_a_participant_dropped_for_what_it_sent_stays_dropped(federation):
    server = federation.server()
    server.start()
    running = federation.running
    step = running.scheme.steps[0]
    (honest,) = federation.answer(1, None)
    message = running.server.open(running.parse(honest))
    name, key = first_key(message)
    bad = replace(message, **{name: bytes(len(key))})  # no point, or one that gives no secret
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
    held = federation.running.server
    context = federation.running.server.context
    others = [
        RoundContext(context.job, context.round + 1, context.context_digest),
        RoundContext("another job", context.round, context.context_digest),
        RoundContext(context.job, context.round, b"\x09" * 32),
    ]
    for other in others:
        held.context = other
        with pytest.raises(InputError, match="another round"):
            federation.server()


@needs(ANSWERS)
def test_a_journal_that_makes_another_server_is_refused(federation):
    """Another version of the program, say: participants would be sent other bytes than before."""
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
