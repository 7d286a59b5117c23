"""Genuine messages of another round, or of content that cannot be: refused, and only their sender is dropped."""

from dataclasses import replace

import msgspec
import pytest

from secagg_protocols import (
    SERVER,
    Aggregator,
    InsecureDeterministicRandomness,
    LateMessage,
    Participant,
    ProtocolViolation,
    Roster,
    RoundContext,
    StateError,
    WireError,
)
from secagg_protocols.packing.blocks import BLOCK_BYTES

from ..capability import ADVERTISES_KEYS, ANSWERS, PROTECTS, RECOVERS_DROPOUTS, SIGNS, UPLOADS_BLOCKS, needs

FOREIGN = [
    ("another job", {"context": RoundContext("another job", 1, bytes(range(32)))}),
    ("another round", {"context": RoundContext("conformance", 2, bytes(range(32)))}),
    ("another context", {"context": RoundContext("conformance", 1, bytes(32))}),
    ("another roster", {}),
    ("another scheme", {}),
    ("other keys", {}),
]


@pytest.mark.parametrize(("what", "changes"), FOREIGN, ids=[what for what, _ in FOREIGN])
def test_messages_of_a_foreign_session_are_refused(case, make_round, refused, what, changes):
    scheme = case.make(3, 5)
    other = case.make(3, 5, value_bits=15) if what == "another scheme" else scheme
    if what in ("another context", "other keys") and not PROTECTS.held(case, scheme):
        pytest.skip(PROTECTS.lacking)
    if what == "another roster" and not SIGNS.held(case, scheme):
        pytest.skip(SIGNS.lacking)
    drawn = {"randomness": InsecureDeterministicRandomness(99)} if what == "other keys" else {}
    foreign = make_round(other, **drawn, **changes)
    if what == "another roster":
        foreign = foreign_roster(make_round, scheme)
    foreign.finish().check()
    running = make_round(scheme)
    stated = scheme.steps[0].value if ANSWERS.held(case, scheme) else None  # where participants say what they are in
    for moment in running.moments():
        for (participant, kind), data in foreign.sent.items():
            if kind == stated and what in ("another context", "other keys"):
                continue  # authentic keys of this round: taken, or that one participant is dropped
            before = moment.observable()
            refused(moment.offer, data)
            assert moment.observable() == before, (participant, kind)
        for (participant, kind), data in foreign.heard.items():
            if kind in ("KeyList", "NeighbourList") and what in ("another context", "other keys"):
                continue  # authentic and invalid: the participant aborts (its own keys are not in it)
            client = moment.clients[participant]
            before = client.snapshot()
            refused(lambda data=data, client=client: client.receive(foreign.parse(data)))
            assert client.snapshot() == before, (participant, kind)
    running.check()


def foreign_roster(make_round, scheme):
    """Return a round among the same identities under a roster that differs in one name."""
    foreign = make_round(scheme)
    entries = [replace(entry, name=entry.name + "!") if entry.id == 3 else entry for entry in foreign.roster.entries]
    roster = Roster.of(scheme.ciphersuite, entries)
    context = foreign.server.context
    foreign.roster = roster
    foreign.server = scheme.server(context, Aggregator(identity=foreign.identities[0], roster=roster))
    foreign.clients = {
        p: scheme.client(
            p,
            context,
            Participant(
                identity=foreign.identities[p], roster=roster, policy=foreign.policy, ledger=foreign.ledgers[p]
            ),
        )
        for p in foreign.clients
    }
    return foreign


@needs(PROTECTS, RECOVERS_DROPOUTS)
def test_a_participant_that_was_sent_another_model_is_left_out(case, make_round):
    scheme = case.make(5, 5)
    odd = RoundContext("conformance", 1, b"\xee" * 32)
    running = make_round(scheme, contexts={4: odd})
    running.open()
    if scheme.early_keys:  # keys say nothing of the model; the list of keys is bound to it
        running.take()
        running.advance()
        (data,) = running.downlink[4]
        running.downlink[4] = []
        with pytest.raises(WireError, match="another round, scheme or session"):
            running.clients[4].receive(running.parse(data))
        running.hear()
        running.drop[4] = scheme.steps[1]
        running.finish().check()
        assert running.server.output.survivors == (1, 2, 3, 5)
        assert running.server.dropped[4].step is scheme.steps[1]
        return
    for data in running.drain():
        if running.parse(data).sender == 4:
            with pytest.raises((ProtocolViolation, WireError), match=r"different models|another round"):
                running.offer(data)
        else:
            running.offer(data)
    running.drop[4] = scheme.steps[0]
    running.finish().check()
    assert running.server.output.survivors == (1, 2, 3, 5)
    assert running.server.dropped[4].step is scheme.steps[0]


@needs(RECOVERS_DROPOUTS, UPLOADS_BLOCKS)
def test_a_repeated_block_is_refused_and_an_impossible_one_drops_its_sender(case, make_round, refused):
    scheme = case.make(4, BLOCK_BYTES // 2)
    running = make_round(scheme)
    running.open_uploads()
    for queue in running.uplink.values():
        while running.parse(queue[0]).kind != running.contributed.value:  # what is said before the vector
            running.server.receive(running.parse(queue.pop(0)))
    first, *others = running.uplink[2]
    assert others
    running.server.receive(running.parse(first))
    before = running.observable()
    error = refused(lambda: running.server.receive(running.parse(first)))
    assert isinstance(error, StateError)
    assert running.observable() == before
    running.uplink[2] = others
    message = running.server.open(running.parse(running.uplink[3][0]))
    beyond = type(message)(len(running.uplink[3]), message.words)
    impossible = running.clients[3].seal(running.contributed.value, SERVER, beyond)
    with pytest.raises(ProtocolViolation, match="cannot be"):
        running.server.receive(impossible)
    assert 3 in running.server.dropped
    error = refused(lambda: running.server.receive(running.parse(running.uplink[3][0])))
    assert isinstance(error, LateMessage)
    running.uplink[3] = []
    running.drop[3] = scheme.steps[0]
    running.finish().check()
    assert running.server.output.survivors == (1, 2, 4)


@needs(ADVERTISES_KEYS, RECOVERS_DROPOUTS)
@pytest.mark.parametrize("size", [0, 1, 31, 33, 64, 66])
def test_a_public_key_of_any_other_length_drops_its_sender_alone(case, make_round, size):
    """One participant with a strange key must not make everyone else give up."""
    scheme = case.make(4, 5)
    running = make_round(scheme)
    running.open()
    fields = msgspec.msgpack.decode(running.parse(running.uplink[2][0]).payload)
    fields[0] = bytes(range(1, size + 1))
    kind = running.server.messages["AdvertiseKeys"]
    with pytest.raises(ProtocolViolation):
        running.server.receive(running.clients[2].seal("AdvertiseKeys", SERVER, kind(*fields)))
    assert 2 in running.server.dropped
    running.uplink[2] = []
    running.drop[2] = scheme.steps[0]
    running.finish().check()


@pytest.mark.parametrize("size", [0, 1, 2, 7])
def test_a_bulk_of_any_other_length_drops_its_sender_alone(case, make_round, size):
    """Whatever a well-formed message holds, the server raises errors of ours and goes on."""
    scheme = case.make(4, 5)
    for step in scheme.steps:
        running = make_round(scheme)
        running.open()
        while running.server.step is not step:
            running.take()
            running.advance()
            running.hear()
        envelope = running.parse(running.uplink[2][0])
        message = running.server.open(envelope)
        bulk = message.__struct_fields__[-1]
        if not isinstance(getattr(message, bulk), memoryview) or len(getattr(message, bulk)) == size:
            continue
        forged = msgspec.structs.replace(message, **{bulk: memoryview(bytes(size))})
        with pytest.raises((ProtocolViolation, WireError)):
            running.server.receive(running.clients[2].seal(envelope.kind, SERVER, forged))
