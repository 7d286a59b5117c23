"""Bytes from the outside: anything but the genuine message is refused, and the machine is as it was."""

import hashlib
from dataclasses import replace

import msgspec
import numpy as np
import pytest

from secagg_protocols import (
    SERVER,
    Aggregator,
    Envelope,
    InsecureDeterministicRandomness,
    LateMessage,
    Participant,
    ProtocolViolation,
    RemoteError,
    Roster,
    RoundContext,
    RoundFailed,
    StateError,
    WireError,
)
from secagg_protocols.core.wire import MAX_KIND, signed_bytes
from secagg_protocols.packing.blocks import BLOCK_BYTES

from ..capability import ADVERTISES_KEYS, ANSWERS, PROTECTS, RECOVERS_DROPOUTS, SIGNS, UNSIGNED, UPLOADS_BLOCKS, needs

HEADER = 1 + 1 + 4 + 4 + 32 + 1 + 2
"""Bytes before an envelope's kind: version, suite, sender, recipient, binding, lengths of kind and of signature."""
SENDER = range(2, 6)


def payload_at(data):
    """Return where an envelope's payload begins: behind its kind and its signature."""
    return HEADER + data[HEADER - 3] + int.from_bytes(data[HEADER - 2 : HEADER], "big")


def test_every_envelope_of_a_round_survives_bytes(small, make_round):
    finished = make_round(small, drop={2: small.steps[-1]} if small.quorum < 3 else {}).finish()
    for data in (*finished.sent.values(), *finished.heard.values()):
        envelope = finished.parse(data)
        assert envelope.to_bytes() == data
        assert Envelope.from_bytes(bytearray(data), len(data)).to_bytes() == data
        assert Envelope.from_bytes(memoryview(data), len(data)).to_bytes() == data
        assert bool(envelope.signature) == small.active


def damaged(data, positions, generator):
    """Yield the bytes with one byte changed, in two ways for each position."""
    for position in positions:
        for change in (1 << int(generator.integers(0, 8)), int(generator.integers(1, 256))):
            changed = bytearray(data)
            changed[position] ^= change
            yield position, bytes(changed)


def positions_of(data, generator):
    """Every header byte, and up to 150 of the rest with both ends."""
    start = payload_at(data)
    rest = np.arange(start, len(data))
    if rest.size > 150:
        rest = np.unique(np.concatenate([rest[:30], rest[-30:], generator.choice(rest, 90, replace=False)]))
    return [*range(start), *rest.tolist()]


def test_any_changed_byte_of_any_signed_message_is_refused_and_changes_nothing(active_case, make_round, refused):
    scheme = active_case.make(3, 5)
    generator = np.random.default_rng(1)
    running = make_round(scheme)
    running.open()
    tried = 0
    while running.server.output is None:
        queue = list(running.uplink[2])
        for data in queue:
            before = running.observable()
            for _, changed in damaged(data, positions_of(data, generator), generator):
                refused(running.offer, changed)
                assert running.observable() == before
                tried += 1
        running.take()
        running.advance()
        if running.server.output is None:
            for data in list(running.downlink[2]):
                client = running.clients[2]
                before = client.snapshot()
                for _, changed in damaged(data, positions_of(data, generator), generator):
                    refused(lambda changed=changed, client=client: client.receive(running.parse(changed)))
                    tried += 1
                assert client.snapshot() == before
            running.hear()
    running.check()
    assert running.server.output.survivors == (1, 2, 3)
    assert tried > 2000


def test_any_changed_header_byte_is_refused_even_without_signatures(case, make_round, refused):
    """The sender's id apart: without signatures it is the transport's word."""
    scheme = case.make(3, 5)
    generator = np.random.default_rng(2)
    running = make_round(scheme)
    running.open()
    while running.server.output is None:
        for data in list(running.uplink[2]):
            header = [p for p in range(payload_at(data)) if p not in SENDER or scheme.active]
            before = running.observable()
            for _, changed in damaged(data, header, generator):
                refused(running.offer, changed)
                assert running.observable() == before
        running.take()
        running.advance()
        if running.server.output is None:
            for data in list(running.downlink[2]):
                client = running.clients[2]
                before = client.snapshot()
                for _, changed in damaged(data, range(payload_at(data)), generator):
                    refused(lambda changed=changed, client=client: client.receive(running.parse(changed)))
                assert client.snapshot() == before
            running.hear()
    running.check()


@needs(UNSIGNED, ANSWERS)
def test_a_changed_payload_without_signatures_never_gives_a_wrong_sum_from_the_opening(case, make_round):
    """Shares, commitments and keys are checked against each other: only masked values themselves are unprotected."""
    scheme = case.make(5, 5)
    generator = np.random.default_rng(3)
    outcomes = {"sum": 0, "failed": 0}
    genuine = make_round(scheme).finish()
    for kind in {kind for _, kind in genuine.sent} - {genuine.contributed.value}:
        data = genuine.sent[2, kind]
        start = payload_at(data)
        for position in generator.integers(start, len(data), 12):
            changed = bytearray(data)
            changed[position] ^= 1 << int(generator.integers(0, 8))
            running = make_round(scheme)
            running.open()
            try:
                while running.server.output is None:
                    running.uplink[2] = [bytes(changed) if d == data else d for d in running.uplink[2]]
                    for item in running.drain():
                        try:
                            running.server.receive(running.parse(item))
                        except (RemoteError, StateError):
                            continue
                    running.advance()
                    if running.server.output is None:
                        running.hear()
            except (RemoteError, RoundFailed):
                assert running.server.output is None
                outcomes["failed"] += 1
                continue
            running.check()
            outcomes["sum"] += 1
    assert outcomes["sum"] > 5


def test_truncated_messages_are_refused(small, make_round, refused):
    running = make_round(small)
    for moment in running.moments():
        for data in moment.uplink[2][:1]:
            before = moment.observable()
            cuts = {*range(payload_at(data) + 30), *range(HEADER, len(data), 41), len(data) - 1}
            for cut in sorted(cut for cut in cuts if cut < len(data)):
                refused(moment.offer, data[:cut])
            assert moment.observable() == before
    running.check()


def test_extended_messages_are_refused(small, make_round, refused):
    running = make_round(small)
    for moment in running.moments():
        for data in moment.uplink[2][:1]:
            before = moment.observable()
            for more in (b"\x00", b"\xc0", b"\xff" * 64, data):
                refused(moment.offer, data + more)
            assert moment.observable() == before
    running.check()


def test_a_message_over_the_limit_is_refused_whatever_it_says(small, make_round):
    limit = small.envelope_limit
    finished = make_round(small).finish()
    for data in (*finished.sent.values(), *finished.heard.values()):
        with pytest.raises(WireError, match=str(limit)):
            Envelope.from_bytes(data + bytes(limit), limit)
        with pytest.raises(WireError, match=str(len(data) - 1)):
            Envelope.from_bytes(data, len(data) - 1)


def test_a_length_that_is_not_there_is_refused_before_anything_is_allocated(small, make_round, refused):
    """msgpack headers that claim 4 GiB, in every place of the payload where one could stand."""
    running = make_round(small)
    for moment in running.moments():
        for data in moment.uplink[2][:1]:
            start = payload_at(data)
            before = moment.observable()
            for form in (b"\xc6", b"\xdb", b"\xdd", b"\xdf"):  # bytes, text, array, map
                claim = form + b"\xff\xff\xff\xff"
                for position in (0, 1, 2):
                    changed = data[: start + position] + claim + data[start + position :]
                    refused(moment.offer, changed)
            assert moment.observable() == before
    running.check()


def test_deep_nesting_is_refused(small, make_round, refused):
    running = make_round(small)
    running.open()
    (data,) = running.uplink[2]
    start = payload_at(data)
    for depth in (2, 100, 100_000):
        refused(running.offer, data[:start] + b"\x91" * depth + b"\xc0")
    running.finish().check()


def recoded(data):
    """Yield the envelope with its payload's outer array, integers and byte strings in longer forms."""
    start = payload_at(data)
    payload = data[start:]
    assert 0x90 <= payload[0] <= 0x9F
    size = payload[0] & 0x0F
    yield data[:start] + b"\xdc" + size.to_bytes(2, "big") + payload[1:]
    yield data[:start] + b"\xdd" + size.to_bytes(4, "big") + payload[1:]
    first = payload[1]
    if first == 0xC4:
        length = payload[2]
        yield data[:start] + payload[:1] + b"\xc5" + length.to_bytes(2, "big") + payload[3:]
        yield data[:start] + payload[:1] + b"\xc6" + length.to_bytes(4, "big") + payload[3:]
    elif first < 0x80:
        yield data[:start] + payload[:1] + b"\xcc" + payload[1:]
        yield data[:start] + payload[:1] + b"\xcd\x00" + payload[1:]
        yield data[:start] + payload[:1] + b"\xd0" + payload[1:]
    as_map = msgspec.msgpack.encode(dict(enumerate(msgspec.msgpack.decode(payload))))
    yield data[:start] + as_map


def test_a_payload_in_another_encoding_of_the_same_content_is_refused(case, make_round, refused):
    """One content, one encoding. Where messages are signed, the signature is made over the odd encoding on purpose."""
    scheme = case.make(3, 5)
    running = make_round(scheme)
    tried = 0
    for moment in running.moments():
        for data in moment.uplink[2][:1]:
            before = moment.observable()
            for changed in recoded(data):
                envelope = moment.parse(changed)
                if scheme.active:
                    envelope = resigned(moment, 2, envelope)
                error = refused(moment.server.receive, envelope)
                assert isinstance(error, WireError)
                tried += 1
            assert moment.observable() == before
    running.check()
    assert tried >= 5


def resigned(running, party, envelope):
    """Return the envelope with a true signature by the party."""
    bare = msgspec.structs.replace(envelope, signature=b"")
    message = signed_bytes(bare, hashlib.sha256(bytes(envelope.payload)).digest())
    return msgspec.structs.replace(bare, signature=running.identities[party].sign(message))


def test_wrong_recipient_unknown_sender_and_unknown_kind_are_refused(small, make_round, refused):
    running = make_round(small)
    for moment in running.moments():
        for data in moment.uplink[2][:1]:
            envelope = moment.parse(data)
            before = moment.observable()
            for change in (
                {"recipient": 1},
                {"recipient": 65535},
                {"recipient": 2**32 - 1},
                {"sender": SERVER},
                {"sender": 4},
                {"sender": 65535},
                {"sender": 2**32 - 1},
                {"kind": "Nonsense"},
                {"kind": "x" * MAX_KIND},
                {"suite": 3 - envelope.suite},
                {"suite": 0},
                {"binding": bytes(32)},
            ):
                wrong = msgspec.structs.replace(envelope, **change)
                if small.active and 0 <= wrong.sender <= 3:
                    wrong = resigned(moment, wrong.sender, wrong)
                error = refused(moment.server.receive, wrong)
                assert isinstance(error, WireError), change
            assert moment.observable() == before
    running.check()


def test_what_is_meant_for_one_participant_is_refused_by_another(small, make_round, refused):
    running = make_round(small)
    running.open()
    while running.server.output is None:
        running.take()
        running.advance()
        if running.server.output is None:
            for data in running.downlink[1]:
                before = running.clients[2].snapshot()
                refused(lambda data=data: running.clients[2].receive(running.parse(data)))
                assert running.clients[2].snapshot() == before
            running.hear()
    running.check()


def test_one_participant_cannot_speak_for_another(active_case, make_round, refused):
    scheme = active_case.make(3, 5)
    running = make_round(scheme)
    running.open()
    while running.server.output is None:
        for data in list(running.uplink[1]):
            stolen = msgspec.structs.replace(running.parse(data), sender=2)
            for envelope in (stolen, resigned(running, 1, stolen), msgspec.structs.replace(stolen, signature=b"")):
                before = running.observable()
                error = refused(running.server.receive, envelope)
                assert type(error).__name__ == "AuthenticationError"
                assert running.observable() == before
        running.take()
        running.advance()
        if running.server.output is None:
            running.hear()
    running.check()


@needs(UNSIGNED)
def test_a_signed_message_is_refused_by_the_variant_that_never_signs(case, make_round, refused):
    scheme = case.make(3, 5)
    running = make_round(scheme)
    for moment in running.moments():
        for data in moment.uplink[2][:1]:
            signed = msgspec.structs.replace(moment.parse(data), signature=b"\x01" * 64)
            before = moment.observable()
            refused(moment.server.receive, signed)
            assert moment.observable() == before
    running.check()


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
    running.open()
    while running.contributed is None:
        running.take()
        running.advance()
        running.hear()
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
