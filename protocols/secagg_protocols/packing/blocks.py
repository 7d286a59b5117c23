"""Vectors on the wire: packed words in blocks of at most 1 MiB, added up as each upload becomes complete.

The server holds one sum and the uploads that have begun and not ended, whatever the number of participants.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ..errors import ProtocolViolation, RoundFailed, StateError
from .lanes import Lanes, Words, new_words
from .sums import Domain, Output

BLOCK_BYTES = 1 << 20


class Packing(Protocol):
    """How a vector is laid into words of a fixed size on the wire, and how such words are added up."""

    @property
    def words(self) -> int:
        """Words that hold a whole vector."""

    @property
    def granule(self) -> int:
        """Words that may not be torn apart: every block holds a multiple of so many."""

    @property
    def granule_bytes(self) -> int:
        """Bytes of so many words on the wire."""

    def to_bytes(self, words: Words) -> memoryview:
        """Encode words."""

    def add_bytes(self, words: Words, data: memoryview) -> None:
        """Add encoded words onto `words` in place."""


def block_words(packing: Packing) -> int:
    """Words in one block."""
    return BLOCK_BYTES // packing.granule_bytes * packing.granule


def pack_blocks(lanes: Lanes, vector: NDArray[np.integer]) -> Iterator[tuple[int, int, Words]]:
    """Yield (block number, number of its first word, words) over a vector: it is never packed as a whole."""
    for block, (start, words) in enumerate(lanes.pack_parts(vector, block_words(lanes))):
        yield block, start, words


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
        self.words = new_words(packing.words)

    @property
    def upload_bytes(self) -> int:
        """Bytes that one upload holds, until it is complete."""
        return self._packing.words // self._packing.granule * self._packing.granule_bytes

    def check(self, sender: int, block: int, data: memoryview) -> None:
        """Raise `ProtocolViolation` for a block that cannot be, `StateError` for one that is already here."""
        if not 0 <= block < self._blocks:
            raise ProtocolViolation(f"block {block} of {self._blocks} cannot be", {sender})
        if block in self._uploads.get(sender, {}):
            raise StateError(f"participant {sender} has already sent block {block}")
        expected = self._slice(block).size // self._packing.granule * self._packing.granule_bytes
        if len(data) != expected:
            raise ProtocolViolation(f"block {block} has {len(data)} bytes, not {expected}", {sender})

    def take(self, sender: int, block: int, data: memoryview) -> bool:
        """Take one block; return whether the sender's vector is complete, and then added. Raises as `check`."""
        self.check(sender, block, data)
        upload = self._uploads.setdefault(sender, {})
        upload[block] = data
        if len(upload) < self._blocks:
            return False
        self._complete(sender, self._uploads.pop(sender))
        return True

    def _complete(self, sender: int, upload: dict[int, memoryview]) -> None:
        """Take a whole upload: it is added to the sum."""
        for number, words in upload.items():
            self._packing.add_bytes(self._slice(number), words)

    def _slice(self, block: int) -> Words:
        return self.words[block * self._step : (block + 1) * self._step]

    def forget(self, sender: int) -> None:
        """Free an upload that will not be completed."""
        self._uploads.pop(sender, None)


class BlockSum(Uploads):
    """The sum of vectors packed in the lanes of a domain."""

    def __init__(self, domain: Domain) -> None:
        super().__init__(domain.lanes)
        self._domain = domain
        self._lanes = domain.lanes

    def output(self, survivors: tuple[int, ...], step: str) -> Output:
        """Return the result, which takes the words over.

        Raises `RoundFailed` when they are no sum of that many valid vectors: some input was garbage, and a wrong sum
        must not come out silently. (Garbage that looks like a sum cannot be seen.)
        """
        words = self.words
        self._uploads = {}
        self.words = self.words[:0]
        return checked_output(self._domain, self._lanes, words, survivors, step)


def checked_output(domain: Domain, lanes: Lanes, words: Words, survivors: tuple[int, ...], step: str) -> Output:
    """Return packed sums as a result. Raises `RoundFailed` unless so many valid vectors can have such a sum."""
    output = Output(words, survivors, lanes)
    top = lanes.per_word * lanes.bits
    spare = 8 * lanes.word_bytes - top
    possible = max(int(sums.max()) for _, sums in output.parts()) <= len(survivors) * ((1 << domain.value_bits) - 1)
    if spare:
        above = np.uint64(((1 << spare) - 1) << top)
        step_words = block_words(lanes)
        parts = (words[start : start + step_words] for start in range(0, lanes.words, step_words))
        possible &= not any(np.bitwise_and(part, above).any() for part in parts)
    if not possible:
        raise impossible(survivors, step)
    return domain.settled(output)


def impossible(survivors: tuple[int, ...], step: str) -> RoundFailed:
    """Return the error for values that no valid vectors sum up to."""
    return RoundFailed(
        str(step),
        len(survivors),
        len(survivors),
        "the values are no sum of valid vectors: some participant sent garbage; nobody can be named",
    )
