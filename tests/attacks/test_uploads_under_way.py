"""Uploads that begin and do not end: what they hold is bounded, and they stop nobody else."""

import numpy as np
import pytest

from secagg import Bonawitz, LightSecAgg, Plain, Policy, RoundContext, SecAggPlus, StateError
from secagg_he import Bfv, ThresholdCkks
from secagg_protocols import Aggregator, Participant
from secagg_protocols.core.server import Server
from secagg_protocols.packing.blocks import Uploads

PARTICIPANTS, LENGTH = 7, 600_000  # some two blocks each
CONTEXT = RoundContext("job", 1, bytes(32))
SCHEMES = {
    "plain": Plain(PARTICIPANTS, LENGTH),
    "bonawitz": Bonawitz(PARTICIPANTS, LENGTH),
    "secagg-plus": SecAggPlus(PARTICIPANTS, LENGTH, neighbours=6, threshold=4, corrupt_rate=0.0, dropout_rate=0.0),
    "lightsecagg": LightSecAgg(PARTICIPANTS, LENGTH),
    "threshold-ckks": ThresholdCkks(PARTICIPANTS, LENGTH),
    "bfv": Bfv(PARTICIPANTS, LENGTH),
}


def uploads_of(scheme):
    """Return the server, its upload step open, and participant → its upload's envelopes."""
    key, handle = scheme.make_group_key() or (None, None)
    server = scheme.server(CONTEXT, Aggregator(standing=handle))
    clients = {
        who: scheme.client(who, CONTEXT, Participant(policy=Policy(), standing=key))
        for who in range(1, PARTICIPANTS + 1)
    }
    server.start()
    answers = {who: client.start() for who, client in clients.items()}
    while server.step is not scheme.upload_step:
        for envelopes in answers.values():
            for envelope in envelopes:
                server.receive(envelope)
        answers = {envelope.recipient: clients[envelope.recipient].receive(envelope) for envelope in server.advance()}
    for envelopes in answers.values():  # what is due before the upload, in the same step
        for envelope in envelopes:
            server.receive(envelope)
    return server, {who: client.contribute(np.ones(LENGTH, dtype=np.uint8)) for who, client in clients.items()}


@pytest.mark.parametrize("name", SCHEMES)
def test_everyones_uploads_may_be_interleaved_by_default(name):
    if name == "bfv":
        pytest.importorskip("tenseal")
    server, uploads = uploads_of(SCHEMES[name])
    assert all(len(envelopes) > 1 for envelopes in uploads.values())
    while any(uploads.values()):
        for envelopes in uploads.values():
            if envelopes:
                server.receive(envelopes.pop())
    assert server.waiting_for == frozenset()


@pytest.mark.parametrize("name", SCHEMES)
def test_stalled_uploads_hold_no_more_than_they_may_and_stop_nobody_else(name):
    if name == "bfv":
        pytest.importorskip("tenseal")
    server, uploads = uploads_of(SCHEMES[name])
    server.held_bytes = 1
    stalled = PARTICIPANTS - max(server._needed(SCHEMES[name].upload_step), PARTICIPANTS // 2 + 1)
    assert server.uploads_at_once == stalled + 1
    for who in range(1, stalled + 1):  # as many as may be lost begin, and never end
        server.receive(uploads[who][0])
    server.receive(uploads[PARTICIPANTS][0])
    refused = 0
    for who in range(stalled + 1, PARTICIPANTS):
        before = server.waiting_for, server.dropped, set(server._under_way)
        with pytest.raises(StateError, match=r"uploads are under way.*again"):
            server.receive(uploads[who][0])
        assert before == (server.waiting_for, server.dropped, set(server._under_way))
        refused += 1
    assert refused
    for envelope in uploads[PARTICIPANTS][1:]:  # what has begun goes on
        server.receive(envelope)
    for who in range(stalled + 1, PARTICIPANTS):  # and then there is room
        for envelope in uploads[who]:
            server.receive(envelope)
    assert server.waiting_for == set(range(1, stalled + 1))
    assert server.ready


def held(server):
    """Return the bytes that uploads under way hold."""
    return sum(len(data) for upload in server._sum._uploads.values() for data in upload.values())


def flooded(server, uploads):
    """Have everyone begin and nobody end; return the most that was held."""
    most = 0
    for envelopes in uploads.values():
        for envelope in envelopes[:-1]:
            try:
                server.receive(envelope)
            except StateError:
                break
            most = max(most, held(server))
    return most


def test_what_uploads_under_way_hold_is_bounded():
    server, uploads = uploads_of(SCHEMES["bonawitz"])
    server.held_bytes = 4 * server.upload_bytes
    assert 0 < flooded(server, uploads) <= server.held_bytes


def test_without_the_bound_everyone_could_be_held_at_once(monkeypatch):
    monkeypatch.setattr(Server, "_check_room", lambda *arguments: None)
    server, uploads = uploads_of(SCHEMES["bonawitz"])
    server.held_bytes = 4 * server.upload_bytes
    assert flooded(server, uploads) > server.held_bytes


def test_a_participant_that_leaves_or_is_dropped_makes_room():
    scheme = SCHEMES["bonawitz"]
    server, uploads = uploads_of(scheme)
    server.held_bytes = 1
    for who in range(1, server.uploads_at_once + 1):
        server.receive(uploads[who][0])
    with pytest.raises(StateError, match="under way"):
        server.receive(uploads[PARTICIPANTS][0])
    server._drop(1, "for this test")
    server.receive(uploads[PARTICIPANTS][0])
    assert isinstance(server._sum, Uploads)
    assert 1 not in server._sum._uploads
