"""Threads: two calls on one machine at once would add up to something else than the sum, and nobody would notice."""

import copy
import pickle
import threading
from contextlib import nullcontext

import numpy as np
import pytest

from secagg import Bonawitz, MemoryLedger, Plain, Policy, RoundContext, StateError
from secagg_protocols import Participant
from secagg_protocols.packing.lanes import Lanes

CONTEXT = RoundContext("job", 1, bytes(32))
PARTICIPANTS = 4


def uploads(scheme):
    """Return a started server of Plain, and everyone's envelopes, all values 1."""
    server = scheme.server(CONTEXT)
    server.start()
    envelopes = []
    for who in range(1, scheme.participants + 1):
        client = scheme.client(who, CONTEXT, Participant(policy=Policy(minimum_cohort=2)))
        client.start()
        envelopes.append(client.contribute(np.ones(scheme.length, dtype=np.uint8)))
    return server, envelopes


def sent_by_threads(server, envelopes):
    """Give each participant's envelopes to the server from a thread of its own, again while it is busy."""
    refused, together = [], threading.Barrier(len(envelopes))

    def send(mine):
        together.wait()
        for envelope in mine:
            while True:
                try:
                    server.receive(envelope)
                    break
                except StateError as busy:
                    refused.append(str(busy))

    threads = [threading.Thread(target=send, args=(mine,)) for mine in envelopes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return refused


def test_a_server_fed_by_four_threads_gives_the_right_sum_or_says_that_it_is_busy():
    scheme = Plain(PARTICIPANTS, 1_000_000)
    server, envelopes = uploads(scheme)
    refused = sent_by_threads(server, envelopes)
    assert all("one thread at a time" in words for words in refused)
    server.advance()
    np.testing.assert_array_equal(server.output.total, PARTICIPANTS)


class InStep:
    """Makes the additions of two threads meet half-way, as a scheduler may."""

    def __init__(self, monkeypatch, met=0.5):
        original = Lanes.add_bytes
        both = threading.Barrier(2)

        def add(lanes, words, data):
            before = words.copy()
            original(lanes, before, data)
            try:
                both.wait(met)
            except threading.BrokenBarrierError:
                both.reset()
            words[:] = before

        monkeypatch.setattr(Lanes, "add_bytes", add)


def test_additions_that_would_meet_do_not(monkeypatch):
    server, envelopes = uploads(Plain(2, 10))
    InStep(monkeypatch)
    assert sent_by_threads(server, envelopes)  # one of them was told to wait
    server.advance()
    np.testing.assert_array_equal(server.output.total, 2)


def test_without_turns_one_of_two_vectors_would_be_lost_silently(monkeypatch):
    server, envelopes = uploads(Plain(2, 10))
    server._turn = nullcontext()
    InStep(monkeypatch, met=30)
    assert not sent_by_threads(server, envelopes)
    server.advance()
    np.testing.assert_array_equal(server.output.total, 1)


def test_a_call_from_within_a_call_is_refused_too():
    scheme = Plain(3, 5)
    client = scheme.client(1, CONTEXT)
    client.start()

    class Nosy(MemoryLedger):
        def claim(self, *arguments):
            client.snapshot()

    client._ledger = Nosy()
    with pytest.raises(StateError, match="under way"):
        client.contribute(np.zeros(5, dtype=np.int64))
    client._ledger = MemoryLedger()
    client.contribute(np.zeros(5, dtype=np.int64))


def test_a_turn_is_over_when_a_call_raises():
    server = Bonawitz(3, 5).server(CONTEXT)
    for _ in range(2):
        with pytest.raises(StateError, match="advance is not expected"):
            server.advance()


def test_a_copy_of_a_machine_does_not_wait_for_the_original():
    client = Bonawitz(3, 5).client(1, CONTEXT)
    with client._turn:
        copied, sent = copy.deepcopy(client), pickle.loads(pickle.dumps(client._turn))
        copied.start()
        with sent:
            pass
    assert str(copied.state) == "waiting for KeyList"
    assert str(client.state) == "New"
