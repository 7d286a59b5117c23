"""Receive buffers: what can change is copied, once, and what cannot is not."""

import pytest

from secagg import Envelope
from secagg_protocols.core.wire import envelope_overhead
from secagg_protocols.primitives.suites import P256


def envelope_bytes():
    """Return an envelope's encoding."""
    return Envelope(1, 1, bytes(32), "MaskedInput", 1, 0, bytes(1000), b"").to_bytes()


@pytest.mark.parametrize("view", [lambda data: data, memoryview, lambda data: memoryview(memoryview(data))])
def test_what_cannot_change_is_not_copied(view):
    data = envelope_bytes()
    payload = Envelope.from_bytes(view(data), len(data)).payload
    assert payload.obj is data


def test_what_can_change_is_copied_once():
    payload = Envelope.from_bytes(bytearray(envelope_bytes()), 2000).payload
    assert type(payload.obj) is bytes
    assert len(payload.obj) == len(payload) + len(envelope_bytes()) - 1000


def test_views_of_another_shape_are_read_as_their_bytes():
    data = envelope_bytes()
    data += bytes(len(data) % 2)
    assert Envelope.from_bytes(memoryview(data).cast("H"), len(data)).to_bytes() == data
    doubled = bytes(byte for byte in data for _ in range(2))
    assert Envelope.from_bytes(memoryview(doubled)[::2], len(data)).to_bytes() == data


def test_too_long_a_buffer_is_refused_before_it_is_copied():
    class Counted(bytearray):
        copies = 0

        def __bytes__(self):
            Counted.copies += 1
            return bytes(0)

    with pytest.raises(Exception, match="bytes long"):
        Envelope.from_bytes(Counted(1 << 20), 1000 + envelope_overhead(P256))
    assert not Counted.copies
