"""Residues of b bits, packed to b bits: 64 residues in b words of 64 bits, the first residue lowest."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Words = NDArray[np.uint64]

_GROUPS = 256
"""Groups of 64 residues at a time: 128 KiB, so that temporaries stay in cache."""


def pack(residues: Words, bits: int) -> bytes:
    """Return residues in [0, 2^bits), as many as a multiple of 64, in bits/8 bytes each."""
    groups = residues.reshape(-1, 64)
    packed = np.empty((groups.shape[0], bits), dtype="<u8")
    for first in range(0, groups.shape[0], _GROUPS):
        columns = np.ascontiguousarray(groups[first : first + _GROUPS].T)
        rows = np.zeros((bits, columns.shape[1]), dtype=np.uint64)
        for index in range(64):
            row, shift = divmod(index * bits, 64)
            rows[row] |= columns[index] << np.uint64(shift)
            if shift + bits > 64:
                rows[row + 1] |= columns[index] >> np.uint64(64 - shift)
        packed[first : first + _GROUPS] = rows.T
    return packed.tobytes()


def unpack(data: bytes | memoryview, bits: int) -> Words:
    """Return the residues in packed bytes (a whole number of groups)."""
    groups = np.frombuffer(data, dtype="<u8").reshape(-1, bits)
    residues = np.empty((groups.shape[0], 64), dtype=np.uint64)
    mask = np.uint64((1 << bits) - 1)
    for first in range(0, groups.shape[0], _GROUPS):
        rows = np.ascontiguousarray(groups[first : first + _GROUPS].T)
        columns = np.empty((64, rows.shape[1]), dtype=np.uint64)
        for index in range(64):
            row, shift = divmod(index * bits, 64)
            value = rows[row] >> np.uint64(shift)
            if shift + bits > 64:
                value |= rows[row + 1] << np.uint64(64 - shift)
            np.bitwise_and(value, mask, out=columns[index])
        residues[first : first + _GROUPS] = columns.T
    return residues.reshape(-1)
