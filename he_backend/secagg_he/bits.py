"""Residues of b bits, packed to b bits, little-endian: residue i is in bits i·b … (i+1)·b − 1 of the bytes.

Eight residues take b whole bytes, so residue j of every eight starts at one byte and bit of its group: each is read and
written for all groups at once, by unaligned 64-bit words at a stride of b bytes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Words = NDArray[np.uint64]

MAX_BITS = 57
"""Up to 7 bits stand before a residue in the word that is read for it."""

_GROUP = 8
_WORD_BYTES = 8


def pack(residues: Words, bits: int) -> bytes:
    """Return residues in [0, 2^bits), as many as a multiple of 8, in bits/8 bytes each."""
    groups = residues.reshape(-1, _GROUP)
    buffer = np.zeros(len(groups) * bits + _WORD_BYTES, dtype=np.uint8)
    for index in range(_GROUP):
        words, shift = _words(buffer, len(groups), bits, index)
        words |= groups[:, index] << shift
    return buffer[:-_WORD_BYTES].tobytes()


def unpack(data: bytes | memoryview, bits: int) -> Words:
    """Return the residues in packed bytes (a whole number of groups of 8)."""
    buffer = np.empty(len(data) + _WORD_BYTES, dtype=np.uint8)
    buffer[:-_WORD_BYTES] = np.frombuffer(data, dtype=np.uint8)
    groups = np.empty((len(data) // bits, _GROUP), dtype=np.uint64)
    mask = np.uint64((1 << bits) - 1)
    for index in range(_GROUP):
        words, shift = _words(buffer, len(groups), bits, index)
        np.bitwise_and(words >> shift, mask, out=groups[:, index])
    return groups.reshape(-1)


def _words(buffer: NDArray[np.uint8], count: int, bits: int, index: int) -> tuple[Words, np.uint64]:
    """Return (the words of `buffer` in which residue `index` of every group begins, its first bit there)."""
    byte, shift = divmod(index * bits, 8)
    return np.ndarray((count,), dtype="<u8", buffer=buffer, offset=byte, strides=(bits,)), np.uint64(shift)
