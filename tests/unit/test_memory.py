"""Long vectors: what a party holds beside its input stays near one packed vector, whatever the number of others."""

import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from secagg_protocols import Bonawitz, Envelope, Participant, Plain, Policy, RoundContext, Scheme

LENGTH, CLIENTS = 4_000_000, 3
POLICY = Policy(minimum_cohort=2)
CONTEXT = RoundContext("memory", 1, bytes(32))
SCHEMES = [Plain(CLIENTS, LENGTH), Bonawitz(CLIENTS, LENGTH, threshold=2)]


@pytest.fixture(params=SCHEMES, ids=lambda scheme: scheme.name)
def scheme(request: pytest.FixtureRequest) -> Scheme:
    found: Scheme = request.param
    return found


def peak(call: Callable[[], Any]) -> tuple[Any, int]:
    """Return what a call gives, and the most bytes that were allocated since `tracemalloc.start()` meanwhile."""
    tracemalloc.reset_peak()
    result = call()
    return result, tracemalloc.get_traced_memory()[1]


def vector(participant: int) -> np.ndarray:
    return np.full(LENGTH, participant, dtype=np.uint16)


def test_a_round_of_long_vectors_fits_a_few_packed_ones(scheme: Scheme) -> None:
    """One participant vanishes. Clients: 2.5 packed vectors, their input among them. Server: 3, its sum among them."""
    packed = scheme.domain.lanes.size
    clients = {who: scheme.client(who, CONTEXT, Participant(policy=POLICY)) for who in range(1, CLIENTS + 1)}
    server = scheme.server(CONTEXT)
    server.start()
    waiting = [envelope for client in clients.values() for envelope in client.start()]
    while not any(client.awaits_vector for client in clients.values()):
        for envelope in waiting:
            server.receive(envelope)
        waiting = [answer for envelope in server.advance() for answer in clients[envelope.recipient].receive(envelope)]
    del clients[3]
    for who, client in clients.items():
        tracemalloc.start()
        answers, most = peak(lambda: client.contribute(vector(who)))
        tracemalloc.stop()
        assert most < 2.5 * packed
        uploads = [envelope.to_bytes() for envelope in answers]
        del answers
        tracemalloc.start()
        for data in uploads:
            server.receive(Envelope.from_bytes(data, scheme.envelope_limit))
        _, received = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert received < 0.1 * packed, "an upload is kept as the bytes it came in, and then added"
        del uploads
    sum_bytes = 8 * scheme.domain.lanes.words
    assert sum_bytes + packed < 3 * packed
    while server.output is None:
        tracemalloc.start()
        outgoing, most = peak(server.advance)
        tracemalloc.stop()
        assert sum_bytes + most < 3 * packed
        for envelope in outgoing:
            for answer in clients[envelope.recipient].receive(envelope):
                server.receive(answer)
    tracemalloc.start()
    _, most = peak(lambda: [int(sums.max()) for _, sums in server.output.parts()])
    tracemalloc.stop()
    assert most < packed
    assert server.output.survivors == (1, 2)
    assert set(np.unique(server.output.total)) == {3}
