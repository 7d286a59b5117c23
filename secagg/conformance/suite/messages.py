"""Bytes from the outside: anything but the genuine message is refused, and the machine is as it was."""

import hashlib

import msgspec
import numpy as np
import pytest

from secagg_protocols import (
    SERVER,
    Envelope,
    RemoteError,
    RoundFailed,
    StateError,
    WireError,
)
from secagg_protocols.core.wire import MAX_KIND, signed_bytes

from ..capability import ANSWERS, UNSIGNED, needs

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
