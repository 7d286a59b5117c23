"""The wire codec: one encoding for each message, and limits before allocation."""

import msgspec
import pytest

from secagg_protocols import Envelope, ParameterError, WireError
from secagg_protocols.bonawitz import messages as bonawitz
from secagg_protocols.core.aborts import Abort
from secagg_protocols.core.wire import MAX_KIND, check_participants, decode, encode
from secagg_protocols.plain.messages import Sum

LIMIT = 1 << 21
HEADER = 45
"""Bytes before an envelope's kind; the last three are the lengths of kind (1) and signature (2)."""
MESSAGES = [
    bonawitz.AdvertiseKeys(bytes(32), bytes(32), bytes(32), b"", bytes(16), bytes(32)),
    bonawitz.KeyList((bonawitz.KeyEntry(1, b"payload", b""), bonawitz.KeyEntry(2**32 - 1, b"", bytes(64)))),
    bonawitz.KeyList(()),
    bonawitz.ShareKeys(b"", memoryview(bytes(300))),
    bonawitz.SealedShares((1, 2, 300), memoryview(b"")),
    bonawitz.MaskedInput(0, memoryview(bytes(255))),
    bonawitz.MaskedInput(1000, memoryview(bytes(256))),
    bonawitz.MaskedInput(2**32 - 1, memoryview(bytes(65535))),
    bonawitz.MaskedInput(0, memoryview(bytes(65536))),
    bonawitz.SurvivorList((1, 5, 9)),
    bonawitz.ConsistencyCheck(bytes(32)),
    bonawitz.UnmaskRequest((1, 2), (3,), (1,), (bytes(64),)),
    bonawitz.UnmaskRequest((1, 2), (3,), (1, 2), (bytes(3309), bytes(666))),
    bonawitz.Unmasking((4,), memoryview(bytes(34))),
    Sum(3, memoryview(b"words")),
    Abort("this participant takes part with 5 or more"),
]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_every_message_survives_its_encoding(message):
    data = encode(message)
    for form in (data, bytearray(data), memoryview(data)):
        assert encode(decode(type(message), form, LIMIT)) == data
    assert decode(type(message), data, len(data))
    with pytest.raises(WireError, match=str(len(data))):
        decode(type(message), data, len(data) - 1)


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_truncated_and_extended_messages_are_refused(message):
    data = encode(message)
    for cut in {*range(min(60, len(data))), len(data) - 1}:
        with pytest.raises(WireError):
            decode(type(message), data[:cut], LIMIT)
    for more in (b"\0", b"\xc0", data):
        with pytest.raises(WireError):
            decode(type(message), data + more, LIMIT)


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_fields_too_few_or_too_many_are_refused(message):
    fields = msgspec.msgpack.decode(encode(message))
    for changed in (fields[:-1], [*fields, 0], [*fields, None], [], {}, 0, None, b"", "text"):
        with pytest.raises(WireError):
            decode(type(message), msgspec.msgpack.encode(changed), LIMIT)


@pytest.mark.parametrize("size", [0, 1, 255, 256, 65535, 65536])
def test_bulk_in_a_longer_form_is_refused(size):
    """bin8, bin16 and bin32 can say the same length; only the shortest is taken."""
    forms = [b"\xc4" + size.to_bytes(1, "big")] if size < 256 else []
    forms += [b"\xc5" + size.to_bytes(2, "big")] if size < 65536 else []
    forms += [b"\xc6" + size.to_bytes(4, "big")]
    first, *longer = forms
    assert len(decode(Sum, b"\x92\x00" + first + bytes(size), LIMIT).words) == size
    for form in longer:
        with pytest.raises(WireError, match="canonical"):
            decode(Sum, b"\x92\x00" + form + bytes(size), LIMIT)


@pytest.mark.parametrize(
    "number", [b"\xcc\x05", b"\xcd\x00\x05", b"\xce\0\0\0\x05", b"\xcf" + bytes(7) + b"\x05", b"\xd0\x05"]
)
def test_numbers_in_a_longer_form_are_refused(number):
    assert decode(Sum, b"\x92\x05\xc4\x00", LIMIT).block == 5
    with pytest.raises(WireError, match="canonical"):
        decode(Sum, b"\x92" + number + b"\xc4\x00", LIMIT)


@pytest.mark.parametrize(
    "value", [b"\xc0", b"\xc3", b"\xca\0\0\0\0", b"\xa1x", b"\x90", b"\x80", b"\xc7\x01\x05x", b"\xc1"]
)
def test_fields_of_another_type_are_refused(value):
    for payload in (b"\x92" + value + b"\xc4\x00", b"\x92\x00" + value):
        with pytest.raises(WireError):
            decode(Sum, payload, LIMIT)


def test_a_declared_length_beyond_the_data_is_refused():
    for claim in (b"\xc6\xff\xff\xff\xff", b"\xc5\xff\xff", b"\xc4\x05"):
        with pytest.raises(WireError):
            decode(Sum, b"\x92\x00" + claim + b"four", LIMIT)
    with pytest.raises(WireError):
        decode(bonawitz.SurvivorList, b"\x91\xdd\xff\xff\xff\xff", LIMIT)


@pytest.mark.parametrize("ids", [(2, 1), (1, 1), (0,), (0, 1), (-1,), (2**32,), (1, 2**32), (1, 3, 2)])
def test_lists_of_participants_are_strictly_ascending_and_in_range(ids):
    with pytest.raises(ValueError, match="ascending"):
        bonawitz.SurvivorList(ids)
    with pytest.raises(WireError):
        decode(bonawitz.SurvivorList, msgspec.msgpack.encode([list(ids)]), LIMIT)


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        (bonawitz.AdvertiseKeys, [b"", b"", b"", b"", bytes(15), bytes(32)]),
        (bonawitz.AdvertiseKeys, [b"", b"", b"", b"", bytes(16), bytes(31)]),
        (bonawitz.ConsistencyCheck, [bytes(31)]),
        (bonawitz.ConsistencyCheck, [bytes(33)]),
        (bonawitz.ConsistencyCheck, [b""]),
        (bonawitz.UnmaskRequest, [[1], [2], [1], []]),
        (bonawitz.UnmaskRequest, [[1], [2], [], [bytes(64)]]),
        (bonawitz.UnmaskRequest, [[1], [2], [1], bytes(64)]),
        (bonawitz.MaskedInput, [2**32, b""]),
        (bonawitz.MaskedInput, [-1, b""]),
        (bonawitz.KeyEntry, [0, b"", b""]),
        (bonawitz.KeyEntry, [2**32, b"", b""]),
    ],
)
def test_fields_of_the_wrong_size_are_refused(kind, fields):
    with pytest.raises(WireError):
        decode(kind, msgspec.msgpack.encode(fields), LIMIT)


def test_messages_cannot_be_changed():
    with pytest.raises(AttributeError):
        MESSAGES[0].nonce = bytes(16)


# --- envelopes


def envelope(**changes):
    fields = {
        "version": 1,
        "suite": 1,
        "binding": bytes(range(32)),
        "kind": "Sum",
        "sender": 7,
        "recipient": 0,
        "payload": b"payload",
        "signature": b"",
    }
    return Envelope(**{**fields, **changes})


def test_the_layout_of_an_envelope_is_the_documented_one():
    data = envelope(sender=66051, recipient=2**32 - 1, suite=2, signature=b"\x05" * 64).to_bytes()
    header = b"\x01\x02" + b"\0\x01\x02\x03" + b"\xff" * 4 + bytes(range(32)) + b"\x03" + b"\0\x40"
    expected = header + b"Sum" + b"\x05" * 64 + b"payload"
    assert data == expected


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"signature": b"\x01" * 64},
        {"signature": b"\x01" * 63},
        {"sender": 0, "recipient": 2**32 - 1},
        {"kind": "k" * MAX_KIND},
    ],
)
def test_envelopes_survive_bytes(changes):
    made = envelope(**changes)
    back = Envelope.from_bytes(made.to_bytes(), 1000)
    assert back.to_bytes() == made.to_bytes()
    assert (back.kind, back.sender, back.recipient, bytes(back.payload), back.signature) == (
        made.kind,
        made.sender,
        made.recipient,
        made.payload,
        made.signature,
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"version": 0},
        {"version": 2},
        {"sender": -1},
        {"sender": 2**32},
        {"recipient": 2**32},
        {"kind": ""},
        {"kind": "k" * (MAX_KIND + 1)},
        {"kind": "Größe"},
        {"signature": bytes(65)},
        {"binding": bytes(31)},
        {"suite": 256},
        {"suite": -1},
    ],
    ids=str,
)
def test_envelopes_that_cannot_be_are_refused_when_made(changes):
    with pytest.raises(WireError):
        envelope(**changes)


def test_bytes_that_are_no_envelope_are_refused():
    good = envelope().to_bytes()
    for wrong in (
        b"",
        b"\x01",
        bytes(HEADER),
        bytes(200),
        good[:HEADER],
        b"\x02" + good[1:],
        good[: HEADER - 3] + b"\x00" + good[HEADER - 2 :],
    ):
        with pytest.raises(WireError):
            Envelope.from_bytes(wrong, 1000)
    high = bytearray(good)
    high[HEADER] = 0xC3
    with pytest.raises(WireError, match="ASCII"):
        Envelope.from_bytes(bytes(high), 1000)


def test_a_kind_longer_than_its_limit_is_refused():
    data = bytearray(envelope(payload=bytes(300)).to_bytes())
    data[HEADER - 3] = MAX_KIND + 1
    with pytest.raises(WireError, match="32"):
        Envelope.from_bytes(bytes(data), 1000)


def test_an_envelope_cut_within_its_kind_is_refused():
    data = envelope(kind="MaskedInput").to_bytes()
    for cut in range(HEADER + 1, HEADER + len("MaskedInput")):
        with pytest.raises(WireError):
            Envelope.from_bytes(data[:cut], 1000)


def test_the_repr_of_an_envelope_shows_no_content():
    assert "payload" not in repr(envelope())
    assert "Sum" in repr(envelope())


@pytest.mark.parametrize("count", [0, -1, 65536])
def test_rounds_that_cannot_be_expressed_are_refused(count):
    with pytest.raises(ParameterError, match=str(count)):
        check_participants(count)


@pytest.mark.parametrize("version", [0, 2, 255])
def test_an_envelope_of_another_version_names_both_however_it_goes_on(version):
    good = envelope().to_bytes()
    for rest in (good[1:], good[1:HEADER], b"", bytes(900)):
        with pytest.raises(WireError, match=rf"version {version}\b.*speaks version 1\b"):
            Envelope.from_bytes(bytes([version]) + rest, 1000)
    with pytest.raises(WireError, match=rf"version {version}\b.*speaks version 1\b"):
        envelope(version=version)
