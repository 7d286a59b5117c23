"""Uploads that begin and do not end: what they hold is bounded, they stop nobody else, and nothing of them is added."""

import msgspec
import numpy as np
import pytest

from secagg import (
    Bonawitz,
    LightSecAgg,
    Plain,
    Policy,
    ProtocolViolation,
    RoundContext,
    SecAggPlus,
    StateError,
    WireError,
)
from secagg.conformance.weak_servers import ROOM
from secagg.conformance.weakened import Weakness, without
from secagg_he import Bfv, ThresholdCkks
from secagg_protocols import Aggregator, Participant
from secagg_protocols.errors import SERVER
from secagg_protocols.packing.blocks import BlockSum, Uploads
from secagg_protocols.plain.server import PlainServer

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
    server, _, uploads = round_of(scheme)
    return server, uploads


def round_of(scheme):
    """As `uploads_of`, and the participants in between."""
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
    vector = np.ones(LENGTH, dtype=np.uint8)
    return server, clients, {who: client.contribute(vector) for who, client in clients.items()}


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


def test_without_the_bound_everyone_could_be_held_at_once():
    server, uploads = uploads_of(without(SCHEMES["bonawitz"], ROOM))
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


def summed(server):
    """Return what has been added up so far."""
    if isinstance(server.scheme, Bfv):
        return server._uploads.first.tobytes()
    return server._sum.words.tobytes() + getattr(server._sum, "_left", np.zeros(0)).tobytes()


def finished(server, clients):
    """Close the upload step and all that follow; return the sum."""
    while server.output is None:
        for envelope in server.advance():
            if envelope.recipient not in server.dropped:
                for answer in clients[envelope.recipient].receive(envelope):
                    server.receive(answer)
    return server.output


LIAR = 4


def garbage_at_the_end(server, clients, uploads):
    """Have everyone upload, and one of them the last block cut by a byte; return what was added before it began."""
    for who, envelopes in uploads.items():
        for envelope in envelopes if who != LIAR else ():
            server.receive(envelope)
    before = summed(server)
    *good, last = uploads[LIAR]
    assert good
    for envelope in good:
        server.receive(envelope)
    message = server.open(last)
    cut = msgspec.structs.replace(message, words=message.words[:-1])
    with pytest.raises((ProtocolViolation, WireError)):
        server.receive(clients[LIAR].seal(last.kind, SERVER, cut))
    return before


@pytest.mark.parametrize("name", SCHEMES)
def test_an_upload_that_ends_in_garbage_leaves_nothing_in_the_sum(name):
    if name == "bfv":
        pytest.importorskip("tenseal")
    server, clients, uploads = round_of(SCHEMES[name])
    before = garbage_at_the_end(server, clients, uploads)
    assert summed(server) == before
    output = finished(server, clients)
    assert output.survivors == tuple(who for who in range(1, PARTICIPANTS + 1) if who != LIAR)
    np.testing.assert_array_equal(output.total, np.full(LENGTH, PARTICIPANTS - 1))


class AtOnce(BlockSum):
    """Adds each block as it comes."""

    def take(self, sender, block, data):
        self.check(sender, block, data)
        self._packing.add_bytes(self._slice(block), data)
        upload = self._uploads.setdefault(sender, {})
        upload[block] = data
        return len(upload) == self._blocks


class HastyServer(PlainServer):
    def __init__(self, *arguments):
        super().__init__(*arguments)
        self._sum = AtOnce(self.scheme.domain)


WHOLE_UPLOADS = Weakness("whole uploads", "each block is added as it comes", server=HastyServer, within=Plain)


def test_a_server_that_adds_each_block_as_it_comes_is_left_with_half_an_upload():
    server, clients, uploads = round_of(without(SCHEMES["plain"], WHOLE_UPLOADS))
    before = garbage_at_the_end(server, clients, uploads)
    assert summed(server) != before
    total = finished(server, clients).total
    assert total[0] == PARTICIPANTS
    assert total[-1] == PARTICIPANTS - 1
