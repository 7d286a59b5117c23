"""A receive buffer that is used again must not change what has been received."""

import mmap

import numpy as np

from secagg_protocols import Envelope

SIZE = 1 << 21


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
        self.buffer = make()
        self.taken = taken
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


def test_a_round_whose_messages_come_in_one_buffer_gives_the_sum(case, make_round, monkeypatch):
    scheme = case.make(5, 20)
    for form in RECEIVED.values():
        running = make_round(scheme)
        with monkeypatch.context() as patch:
            patch.setattr(Envelope, "from_bytes", OneBuffer(*form))
            running.finish().check()
        assert running.server.output.survivors == (1, 2, 3, 4, 5)
