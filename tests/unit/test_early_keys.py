"""Keys that are advertised before it is known what the round is about: machines, and participants that restart."""

from dataclasses import replace

import numpy as np
import pytest

from secagg_he import Bfv, ThresholdCkks
from secagg_protocols import (
    Bonawitz,
    DurableClient,
    LightSecAgg,
    ParameterError,
    Participant,
    Plain,
    Policy,
    ProtocolViolation,
    RoundContext,
    SecAggPlus,
    SnapshotStore,
    StateError,
    WireError,
)

KNOWN = RoundContext("job", 2, b"\x11" * 32)
UNKNOWN = replace(KNOWN, context_digest=b"")
LENIENT = Policy(minimum_cohort=2)
VECTOR = np.arange(4)
SCHEMES = [
    Bonawitz(3, 4, early_keys=True),
    SecAggPlus(3, 4, neighbours=2, threshold=2, corrupt_rate=0.0, dropout_rate=0.0, early_keys=True),
    LightSecAgg(3, 4, early_keys=True),
    ThresholdCkks(3, 4, early_keys=True),
]


@pytest.fixture(params=SCHEMES, ids=lambda scheme: scheme.name)
def scheme(request):
    return request.param


def key_lists(scheme, advertised, context=KNOWN):
    """Let a server take everyone's keys; return it and what it sends each."""
    server = scheme.server(context)
    server.start()
    for envelope in advertised:
        server.receive(envelope)
    return server, {envelope.recipient: envelope for envelope in server.advance()}


def started(scheme, context=UNKNOWN):
    clients = {own: scheme.client(own, context, Participant(policy=LENIENT)) for own in (1, 2, 3)}
    return clients, [envelope for client in clients.values() for envelope in client.start()]


def test_a_round_whose_keys_came_early_gives_the_sum(scheme):
    clients, arriving = started(scheme)
    server = scheme.server(KNOWN)
    server.start()
    for client in clients.values():
        client.bind_context(KNOWN.context_digest)
    while server.output is None:
        for envelope in arriving:
            server.receive(envelope)
        arriving = []
        for envelope in server.advance():
            client = clients[envelope.recipient]
            arriving += client.receive(envelope)
            if client.awaits_vector:
                arriving += client.contribute(VECTOR)
    assert server.output.total.tolist() == (3 * VECTOR).tolist()


def test_nobodys_early_keys_say_what_the_round_is_about(scheme):
    for context in (KNOWN, UNKNOWN):
        _, advertised = started(scheme, context)
        assert not any(KNOWN.context_digest in bytes(envelope.payload) for envelope in advertised)


def test_a_participant_takes_no_message_before_it_knows_what_the_round_is_about(scheme):
    clients, advertised = started(scheme)
    _, lists = key_lists(scheme, advertised)
    before = clients[1].snapshot()
    with pytest.raises(StateError, match="bind_context"):
        clients[1].receive(lists[1])
    assert clients[1].snapshot() == before
    clients[1].bind_context(KNOWN.context_digest)
    assert clients[1].receive(lists[1])


def test_what_a_round_is_about_is_said_once(scheme):
    client = scheme.client(1, UNKNOWN, Participant(policy=LENIENT))
    client.start()
    for wrong in (b"", b"\x11" * 31):
        with pytest.raises(ParameterError):
            client.bind_context(wrong)
    client.bind_context(KNOWN.context_digest)
    client.bind_context(KNOWN.context_digest)
    with pytest.raises(StateError, match="another model or configuration"):
        client.bind_context(b"\x22" * 32)
    assert client.context == KNOWN


def test_a_server_and_a_scheme_without_early_keys_know_it_from_the_start(scheme):
    with pytest.raises(ParameterError, match="context_digest is empty"):
        scheme.server(UNKNOWN)
    with pytest.raises(ParameterError, match="early_keys=True"):
        replace(scheme, early_keys=False).client(1, UNKNOWN, Participant(policy=LENIENT))


def test_keys_that_say_a_context_are_refused_where_keys_are_early_and_the_other_way_round(scheme):
    """Under one address this cannot happen by accident: whether keys are early is in the scheme's id."""
    late = replace(scheme, early_keys=False)
    for keys_of, server_of, expected in ((late, scheme, "say a context"), (scheme, late, "context none")):
        _, advertised = started(keys_of, KNOWN)
        server = server_of.server(KNOWN)
        server.start()
        with pytest.raises(WireError, match="another round, scheme or session"):
            server.receive(advertised[0])
        server._address = advertised[0].binding
        with pytest.raises(ProtocolViolation, match=expected):
            server.receive(advertised[0])
        assert set(server.dropped) == {1}


@pytest.mark.parametrize("other", [replace(KNOWN, round=3), replace(KNOWN, job="another")])
def test_early_keys_serve_one_round_of_one_job(scheme, other):
    _, advertised = started(scheme)
    server = scheme.server(other)
    server.start()
    for envelope in advertised:
        with pytest.raises(WireError, match="another round, scheme or session"):
            server.receive(envelope)


@pytest.mark.parametrize("kind", [Plain, Bfv])
def test_schemes_without_keys_have_no_early_ones(kind):
    with pytest.raises(TypeError, match="early_keys"):
        kind(3, 4, early_keys=True)
    assert not kind(3, 4).early_keys
    with pytest.raises(ParameterError, match="neither True nor False"):
        Bonawitz(3, 4, early_keys=1)


# --- across restarts


def durable(folder, scheme, context, participant=1):
    """Make the participant as a fresh process would."""
    return DurableClient(SnapshotStore(folder), scheme, participant, context, Participant(policy=LENIENT))


def test_a_process_finds_the_keys_that_an_earlier_one_sent_early(tmp_path, scheme):
    (early,) = durable(tmp_path, scheme, UNKNOWN).start()
    assert durable(tmp_path, scheme, UNKNOWN).start() == [early], "asked again, it sends the same bytes"
    assert durable(tmp_path, scheme, KNOWN).start() == [early], "by now it is known what the round is about"
    parse = type(started(scheme)[1][0]).from_bytes
    _, others = started(scheme)
    _, lists = key_lists(scheme, [parse(early, 1 << 20), *others[1:]])
    answers = durable(tmp_path, scheme, KNOWN).receive(lists[1].to_bytes())
    assert parse(answers[0], 1 << 20).kind in ("ShareKeys", "ShareMasks")


def test_keys_that_went_into_one_context_go_into_no_other(tmp_path, scheme):
    """The server cannot have one set of keys answered under two models, whatever it restarts."""
    (early,) = durable(tmp_path, scheme, UNKNOWN).start()
    parse = type(started(scheme)[1][0]).from_bytes
    _, others = started(scheme)
    advertised = [parse(early, 1 << 20), *others[1:]]
    other = replace(KNOWN, context_digest=b"\x22" * 32)
    _, lists = key_lists(scheme, advertised)
    _, other_lists = key_lists(scheme, advertised, other)
    durable(tmp_path, scheme, KNOWN).receive(lists[1].to_bytes())
    with pytest.raises(StateError, match="another model or configuration"):
        durable(tmp_path, scheme, other).receive(other_lists[1].to_bytes())
    with pytest.raises(StateError, match="another model or configuration"):
        durable(tmp_path, scheme, other).start()
    with pytest.raises(StateError, match="another model or configuration"):  # though the answer is stored
        durable(tmp_path, scheme, other).receive(lists[1].to_bytes())
