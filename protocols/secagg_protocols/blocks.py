"""Vectors on the wire: packed words in blocks of at most 1 MiB, added up as each upload becomes complete.

The server holds one sum and the uploads that have begun and not ended, whatever the number of participants.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from .errors import ProtocolViolation, RoundFailed, StateError
from .lanes import Words
from .scheme import Domain, Step

BLOCK_BYTES = 1 << 20


class Packing(Protocol):
    """How a vector is laid into words of a fixed size on the wire, and how such words are added up."""

    @property
    def words(self) -> int:
        """Words that hold a whole vector."""

    @property
    def word_bytes(self) -> int:
        """Bytes of one word on the wire."""

    def to_bytes(self, words: Words) -> memoryview:
        """Encode words."""

    def add_bytes(self, words: Words, data: memoryview) -> None:
        """Add encoded words onto `words` in place."""


def block_words(packing: Packing) -> int:
    """Words in one block."""
    return BLOCK_BYTES // packing.word_bytes


def split(packing: Packing, words: Words) -> Iterator[tuple[int, memoryview]]:
    """Yield (block number, bytes on the wire) over a packed vector."""
    step = block_words(packing)
    for block, start in enumerate(range(0, words.size, step)):
        yield block, packing.to_bytes(words[start : start + step])


class Uploads:
    """The word-wise sum of packed vectors that arrive in blocks, in any order, each whole or not at all."""

    def __init__(self, packing: Packing) -> None:
        self._packing = packing
        self._step = block_words(packing)
        self._blocks = -(-packing.words // self._step)
        self._uploads: dict[int, dict[int, memoryview]] = {}
        self.words: Words = np.zeros(packing.words, dtype=np.uint64)

    def take(self, sender: int, block: int, data: memoryview) -> bool:
        """Take one block; return whether the sender's vector is complete, and then added.

        Raises `ProtocolViolation` for a block that cannot be, `StateError` for one that is already here.
        """
        if not 0 <= block < self._blocks:
            raise ProtocolViolation(f"block {block} of {self._blocks} cannot be", {sender})
        upload = self._uploads.setdefault(sender, {})
        if block in upload:
            raise StateError(f"participant {sender} has already sent block {block}")
        expected = self._slice(block).size * self._packing.word_bytes
        if len(data) != expected:
            raise ProtocolViolation(f"block {block} has {len(data)} bytes, not {expected}", {sender})
        upload[block] = data
        if len(upload) < self._blocks:
            return False
        for number, words in self._uploads.pop(sender).items():
            self._packing.add_bytes(self._slice(number), words)
        return True

    def _slice(self, block: int) -> Words:
        return self.words[block * self._step : (block + 1) * self._step]

    def forget(self, sender: int) -> None:
        """Free an upload that will not be completed."""
        self._uploads.pop(sender, None)


class BlockSum(Uploads):
    """The sum of vectors packed in the lanes of a domain."""

    def __init__(self, domain: Domain) -> None:
        super().__init__(domain.lanes)
        self._domain, self._lanes = domain, domain.lanes

    def total(self, survivors: tuple[int, ...], step: Step) -> NDArray[np.uint64]:
        """Return the sums, shape (length,), and free the words.

        Raises `RoundFailed` when they are no sum of that many valid vectors: some input was garbage, and a wrong sum
        must not come out silently. (Garbage that looks like a sum cannot be seen.)
        """
        lanes, words = self._lanes, self.words
        self._uploads, self.words = {}, words[:0]
        top = lanes.per_word * lanes.bits
        spare = 8 * lanes.word_bytes - top
        surplus = bool(np.any((words >> np.uint64(top)) & np.uint64((1 << spare) - 1))) if spare else False
        total = lanes.unpack(words)
        if surplus or int(total.max()) > len(survivors) * ((1 << self._domain.value_bits) - 1):
            raise RoundFailed(
                step.value,
                len(survivors),
                len(survivors),
                "the values are no sum of valid vectors: some participant sent garbage; nobody can be named",
            )
        return total
