"""Uploads that begin and do not end: what they hold is bounded, and they stop nobody else."""

import pytest

from secagg_protocols import StateError
from secagg_protocols.packing.blocks import BLOCK_BYTES

from ..capability import RECOVERS_DROPOUTS, UPLOADS_BLOCKS, needs

PARTICIPANTS = 7


def uploads_of(make_round, scheme):
    """Return the server, its upload step open, and participant → its upload's messages."""
    running = make_round(scheme)
    running.open()
    while running.server.step is not scheme.upload_step:
        running.take()
        running.advance()
        running.hear()
    for queue in running.uplink.values():  # what is due before the upload, in the same step
        while running.parse(queue[0]).kind != scheme.upload_step.value:
            running.offer(queue.pop(0))
    return running.server, {who: [running.parse(data) for data in queue] for who, queue in running.uplink.items()}


@needs(UPLOADS_BLOCKS, RECOVERS_DROPOUTS)
def test_stalled_uploads_hold_no_more_than_they_may_and_stop_nobody_else(case, make_round):
    scheme = case.make(PARTICIPANTS, BLOCK_BYTES // 2)
    server, uploads = uploads_of(make_round, scheme)
    server.held_bytes = 1
    stalled = PARTICIPANTS - max(server.needed, PARTICIPANTS // 2 + 1)
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
