"""A receive buffer that is used again must not change what has been received."""

import mmap

import numpy as np
import pytest

from secagg import Bonawitz, Envelope, Simulation
from secagg_protocols.core.wire import envelope_overhead
from secagg_protocols.primitives.suites import P256

SIZE = 1 << 16


def read_only(buffer, size):
    """A view that says it is read-only, of a buffer that is not."""
    return memoryview(buffer)[:size].toreadonly()


def mapped(buffer, size):
    """Part of a mapped file."""
    return memoryview(buffer)[:size]


RECEIVED = {
    "bytearray": (lambda: bytearray(SIZE), None),
    "memoryview": (lambda: bytearray(SIZE), lambda buffer, size: memoryview(buffer)[:size]),
    "read-only memoryview": (lambda: bytearray(SIZE), read_only),
    "mapped file": (lambda: mmap.mmap(-1, SIZE), mapped),
    "read-only view of a mapped file": (lambda: mmap.mmap(-1, SIZE), read_only),
    "array": (lambda: np.zeros(SIZE, dtype=np.uint8), lambda buffer, size: buffer[:size]),
    "view of an array": (lambda: np.zeros(SIZE, dtype=np.uint8), lambda buffer, size: buffer[:size].data),
}


class OneBuffer:
    """`Envelope.from_bytes`, for a transport that receives everything into one buffer."""

    def __init__(self, make, taken):
        self.buffer, self.taken = make(), taken
        self.original = Envelope.from_bytes

    def __call__(self, data, limit):
        view = memoryview(self.buffer)
        view[: len(data)] = data
        if self.taken is None:  # a bytearray of just that size, overwritten when the next one comes
            view.release()
            self.buffer[:] = bytes(len(self.buffer))
            fresh = bytearray(data)
            envelope = self.original(fresh, limit)
            fresh[:] = bytes(len(fresh))
            return envelope
        return self.original(self.taken(self.buffer, len(data)), limit)


@pytest.mark.parametrize("form", RECEIVED)
def test_a_round_whose_messages_come_in_one_buffer_gives_the_sum(form, adversary, monkeypatch):
    scheme = Bonawitz(5, 20, adversary=adversary)
    vectors = [np.full(20, who) for who in range(1, 6)]
    simulation = Simulation(scheme, vectors)
    monkeypatch.setattr(Envelope, "from_bytes", OneBuffer(*RECEIVED[form]))
    np.testing.assert_array_equal(simulation.run().total, 15)
    assert not simulation.refusals


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
