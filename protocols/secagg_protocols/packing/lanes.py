"""Packing: b-bit sums ride in lanes of b bits, several lanes to a word, words cut to whole bytes on the wire.

A word is an integer: lane j holds coordinate (word · lanes + j) in bits [j·b, (j+1)·b). As every lane's *sum*
fits its b bits (the scheme's domain proves it before anything is sent), no carry crosses a lane, so masks may act on
whole words modulo 2^(8·word_bytes). In memory a word is a uint64, and everything above its bytes is don't-care:
it is cut off when the word is sent and when the sum is unpacked.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar, TypeAlias

import numpy as np
from numpy.typing import NDArray

Words: TypeAlias = NDArray[np.uint64]

_IN_CACHE = 1 << 14
"""Words that are packed at a time, so that temporaries stay in cache."""


_CACHE_LINE = 64


def new_words(count: int, *, zero: bool = True) -> Words:
    """Return words that begin with a cache line, as sums into others take longer. zero: all of them 0, or any."""
    spare = _CACHE_LINE // 8
    words: Words = (np.zeros if zero else np.empty)(count + spare, dtype="<u8")
    skip = -words.ctypes.data % _CACHE_LINE // 8
    return words[skip : skip + count]


@dataclass(frozen=True, slots=True)
class Lanes:
    """How `length` sums of `bits` bits are laid into words."""

    length: int
    bits: int
    per_word: int
    word_bytes: int
    granule: ClassVar[int] = 1

    @classmethod
    def of(cls, length: int, bits: int) -> Lanes:
        """Choose the packing with the fewest bytes per coordinate; among equals the one with the fewest words."""
        choices = [(-(-k * bits // 8) / k, -k) for k in range(1, 64 // bits + 1)]
        per_word = -min(choices)[1]
        return cls(length, bits, per_word, -(-per_word * bits // 8))

    @property
    def words(self) -> int:
        """Number of words that hold all coordinates."""
        return -(-self.length // self.per_word)

    @property
    def granule_bytes(self) -> int:
        """Bytes of a granule, which is one word, on the wire."""
        return self.word_bytes

    @property
    def size(self) -> int:
        """Size of the whole packed vector on the wire."""
        return self.words * self.word_bytes

    def pack(self, vector: NDArray[np.integer]) -> Words:
        """Pack integers in [0, 2^bits), shape (length,), into words, shape (words,)."""
        full, rest = divmod(self.length, self.per_word)
        words = new_words(self.words, zero=False)
        grid = vector[: full * self.per_word].reshape(full, self.per_word)
        for start in range(0, full, _IN_CACHE):
            rows = grid[start : start + _IN_CACHE]
            block = words[start : start + rows.shape[0]]
            block[:] = rows[:, 0]
            for lane in range(1, self.per_word):
                shifted = rows[:, lane].astype(np.uint64)
                shifted <<= np.uint64(lane * self.bits)
                block |= shifted
        if rest:
            values = vector[full * self.per_word :].tolist()
            words[full] = sum(value << (lane * self.bits) for lane, value in enumerate(values))
        return words

    def part(self, start: int, count: int) -> Lanes:
        """Return the packing of the coordinates in words start … start+count−1, or up to the end."""
        return replace(self, length=min(count * self.per_word, self.length - start * self.per_word))

    def pack_parts(self, vector: NDArray[np.integer], count: int) -> Iterator[tuple[int, Words]]:
        """Yield (number of its first word, words) over a vector, `count` words at a time."""
        for start in range(0, self.words, count):
            first = start * self.per_word
            yield start, self.part(start, count).pack(vector[first : first + count * self.per_word])

    def unpack_parts(self, words: Words, count: int) -> Iterator[tuple[int, Words]]:
        """Yield (number of its first coordinate, sums) over a packed vector, `count` words at a time."""
        for start in range(0, self.words, count):
            yield start * self.per_word, self.part(start, count).unpack(words[start : start + count])

    def unpack(self, words: Words) -> Words:
        """Return the sums in the lanes, shape (length,)."""
        mask = np.uint64((1 << self.bits) - 1)
        grid = np.empty((self.words, self.per_word), dtype=np.uint64)
        for start in range(0, self.words, _IN_CACHE):
            block = words[start : start + _IN_CACHE]
            rows = grid[start : start + _IN_CACHE]
            for lane in range(self.per_word):
                np.bitwise_and(block >> np.uint64(lane * self.bits), mask, out=rows[:, lane])
        return grid.reshape(-1)[: self.length]

    def to_bytes(self, words: Words) -> memoryview:
        """Cut words to `word_bytes` each, little-endian."""
        buffer = bytearray(words.size * self.word_bytes + 8)
        # Overlapping 8-byte stores in ascending order: each word's surplus bytes are overwritten by the next word.
        np.ndarray((words.size,), dtype="<u8", buffer=buffer, strides=(self.word_bytes,))[:] = words
        return memoryview(buffer)[: words.size * self.word_bytes]

    def add_bytes(self, words: Words, data: bytes | memoryview) -> None:
        """Add words from the wire onto `words` in place, without expanding them first."""
        count = words.size
        stride = self.word_bytes
        if stride == 8:
            words += np.frombuffer(data, dtype="<u8", count=count)
            return
        # The surplus bytes land above the word, where nothing is kept.
        for start, loaded in wire_words(data, count, stride, count):
            words[start : start + loaded.size] += loaded


def wire_words(data: bytes | memoryview, count: int, word_bytes: int, at_once: int) -> Iterator[tuple[int, Words]]:
    """Yield (number of the first, words) over words as they travel, `at_once` at a time, without copying them.

    They are 8-byte loads at a stride of `word_bytes`: above its own bytes, a word has those that follow it.
    """
    safe = max(0, count - 8)
    for start in range(0, safe, at_once):
        size = min(at_once, safe - start)
        yield (
            start,
            np.ndarray((size,), dtype="<u8", buffer=data, offset=start * word_bytes, strides=(word_bytes,)),
        )
    tail = bytes(data[safe * word_bytes :]) + bytes(8)
    yield safe, np.ndarray((count - safe,), dtype="<u8", buffer=tail, strides=(word_bytes,))
