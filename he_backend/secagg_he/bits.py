"""Residues of b bits, packed to b bits, polynomial by polynomial.

A polynomial is the whole bytes of each residue, little-endian, and behind all of them the bits that are left over: a
plane of 4 bits of every residue, one of 2 bits and one of 1 bit, as far as b mod 8 has them, the lower bits first.
Byte i of a plane holds bits of residue i, of residue i + M, i + 2M …, lowest first, where M is the plane's number of
bytes; in the plane of single bits, of residues 8i … 8i + 7. So everything is read and written many bytes at a time.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from secagg_protocols.packing.lanes import Words

Bytes = NDArray[np.uint8]

MAX_BITS = 63
_WIDTHS = (4, 2, 1)

_IN_CACHE = 1 << 14
"""Residues at a time."""

_BYTES_IN_CACHE = 1 << 16
"""Residues at a time, of which one byte is looked at."""


def pack(polynomials: Words, bits: int) -> bytes:
    """Return residues in [0, 2^bits), shape (rows, N), N a multiple of 8, in bits/8 bytes each."""
    rows, degree = polynomials.shape
    data = bytearray(rows * degree * bits // 8 + 8)
    words = _words(data, rows, bits, degree)
    packed = np.frombuffer(data, dtype=np.uint8)[:-8].reshape(rows, -1)
    for many in _runs(rows, degree, _BYTES_IN_CACHE):
        left = np.empty((many.stop - many.start, degree), dtype=np.uint8)
        for few in _runs(len(left), degree, _IN_CACHE):
            # Overlapping stores in ascending order: the surplus bytes are overwritten by what follows.
            words[many][few] = polynomials[many][few]
            if bits % 8:
                left[few] = polynomials[many][few] >> np.uint64(bits & ~7)
        _pack_left_over(left, bits, packed[many])
    return bytes(memoryview(data)[:-8])


def unpack(data: bytes | memoryview, bits: int, degree: int) -> Words:
    """Return the residues in packed polynomials, shape (rows, N)."""
    polynomials = np.empty((8 * len(data) // (bits * degree), degree), dtype=np.uint64)
    for start, whole in whole_bytes(data, bits, degree):
        polynomials[start : start + len(whole)] = whole
    for start, left in left_over(data, bits, degree):
        join(polynomials[start : start + len(left)], left, bits)
    return polynomials


def join(whole: Words, left: NDArray[np.unsignedinteger], bits: int) -> None:
    """Add what residues have beyond their whole bytes onto these, in place."""
    for few in _runs(whole.shape[0], whole.shape[1], _IN_CACHE):
        raised = left[few].astype(np.uint64)
        raised <<= np.uint64(bits & ~7)
        whole[few] += raised


def whole_bytes(data: bytes | memoryview, bits: int, degree: int) -> Iterator[tuple[int, Words]]:
    """Yield (number of the first, polynomials), without bits left over; each in the memory of the ones before."""
    rows = 8 * len(data) // (bits * degree)
    words = _words(data if bits % 8 else b"".join((data, bytes(8))), rows, bits, degree)
    own_bytes = np.uint64((1 << (bits & ~7)) - 1)
    scratch = np.empty((max(1, _IN_CACHE // degree), degree), dtype=np.uint64)
    for few in _runs(rows, degree, _IN_CACHE):
        yield few.start, np.bitwise_and(words[few], own_bytes, out=scratch[: few.stop - few.start])


def left_over(data: bytes | memoryview, bits: int, degree: int) -> Iterator[tuple[int, Bytes]]:
    """Yield (number of the first, what polynomials' residues have beyond their whole bytes)."""
    if bits % 8 == 0:
        return
    packed = np.frombuffer(data, dtype=np.uint8).reshape(-1, degree * bits // 8)
    for many in _runs(len(packed), degree, _BYTES_IN_CACHE):
        yield many.start, _left_over(packed[many], bits, degree)


def upper_bytes(data: bytes | memoryview, bits: int, degree: int) -> NDArray[np.unsignedinteger]:
    """Return the upmost two (of residues of 32 bits or more: four) whole bytes of residues, shape (rows, N)."""
    size = 4 if bits >= 32 else 2
    rows = 8 * len(data) // (bits * degree)
    width = bits // 8
    return np.ndarray((rows, degree), f"<u{size}", data, width - size, (degree * bits // 8, width))


def upper_bytes_of(limit: int) -> int:
    """Return m: residues of as many bits as `limit` that have none above m in `upper_bytes` are below the limit."""
    bits = limit.bit_length()
    size = 4 if bits >= 32 else 2
    if limit >> (bits & ~7) != (1 << bits % 8) - 1:
        return 0  # what is left over decides: nothing can be said
    return limit >> (bits & ~7) - 8 * size & (1 << 8 * size) - 1


def _words(data: bytes | bytearray | memoryview, rows: int, bits: int, degree: int) -> Words:
    """Return the 8-byte words at which residues begin; behind their own whole bytes they hold what follows."""
    return np.ndarray((rows, degree), "<u8", data, 0, (degree * bits // 8, bits // 8))


def _runs(rows: int, degree: int, residues: int) -> Iterator[slice]:
    step = max(1, residues // degree)
    for start in range(0, rows, step):
        yield slice(start, min(start + step, rows))


def _planes(bits: int, degree: int) -> Iterator[tuple[int, int, slice]]:
    """Yield (width, its lowest bit beyond the whole bytes, its bytes in a packed polynomial)."""
    position = 0
    start = degree * (bits // 8)
    for width in _WIDTHS:
        if bits & width:
            size = degree * width // 8
            yield width, position, slice(start, start + size)
            position = position + width
            start = start + size


def _pack_left_over(left: Bytes, bits: int, packed: Bytes) -> None:
    for width, position, where in _planes(bits, left.shape[1]):
        plane = packed[:, where]
        if width == 1:
            plane[:] = np.packbits(left & np.uint8(1 << position), axis=1, bitorder="little")
            continue
        size = plane.shape[1]
        plane[:] = 0
        for group in range(8 // width):
            mask = ((1 << width) - 1) << group * width
            plane |= _moved(left[:, group * size : (group + 1) * size], group * width - position, mask)


def _left_over(packed: Bytes, bits: int, degree: int) -> Bytes:
    if bits % 8 == 1:
        return np.unpackbits(packed[:, degree * (bits // 8) :], axis=1, bitorder="little")
    left = np.zeros((len(packed), degree), dtype=np.uint8)
    for width, position, where in _planes(bits, degree):
        plane = packed[:, where]
        if width == 1:
            bit = np.unpackbits(plane, axis=1, bitorder="little")
            bit <<= np.uint8(position)
            left |= bit
            continue
        size = plane.shape[1]
        mask = ((1 << width) - 1) << position
        for group in range(8 // width):
            left[:, group * size : (group + 1) * size] |= _moved(plane, position - group * width, mask)
    return left


def _moved(values: Bytes, up: int, mask: int) -> Bytes:
    """Return bytes shifted up (down, if negative), and of them the bits in a mask."""
    moved: Bytes = values << np.uint8(up) if up > 0 else values >> np.uint8(-up)
    moved &= np.uint8(mask)
    return moved
