"""How ring elements travel: polynomials of residues at the bits of their prime, in blocks of whole polynomials.

In memory a ring element is its residues modulo the first prime of q, then those modulo the second, if there is one. On
the wire a block has those of all its elements modulo the first prime before those modulo the second.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from secagg_protocols import ProtocolViolation
from secagg_protocols.packing.blocks import Uploads
from secagg_protocols.packing.lanes import Words

from .. import bits

Left = NDArray[np.uint16]
"""Sums of what residues have beyond their whole bytes, fewer than 8 bits each."""


@dataclass(frozen=True, slots=True)
class Ciphertexts:
    """Packing of `polynomials` elements of R_q, q the product of `primes`.

    The sum of all participants' residues fits 64 bits.
    """

    polynomials: int
    degree: int
    primes: tuple[int, ...]

    @property
    def words(self) -> int:
        """Residues of one ciphertext."""
        return self.polynomials * self.granule

    @property
    def granule(self) -> int:
        """Residues of one ring element, which is never torn apart."""
        return self.degree * len(self.primes)

    @property
    def granule_bytes(self) -> int:
        """Bytes of one ring element on the wire."""
        return self.degree * sum(prime.bit_length() for prime in self.primes) // 8

    @property
    def size(self) -> int:
        """Bytes of one ciphertext on the wire."""
        return self.polynomials * self.granule_bytes

    def to_bytes(self, residues: Words) -> memoryview:
        """Encode residues of whole ring elements."""
        elements = self._elements(residues)
        packed = [bits.pack(elements[:, index], prime.bit_length()) for index, prime in enumerate(self.primes)]
        return memoryview(b"".join(packed) if len(packed) > 1 else packed[0])

    def add_bytes(self, words: Words, data: bytes | memoryview) -> None:
        """Add residues from the wire onto `words` in place, as integers: they are reduced once, at the end."""
        left = np.zeros(words.size, dtype=np.uint16)
        self.add_apart(words, left, data)
        self.join(words, left)

    def add_apart(self, words: Words, left: Left, data: bytes | memoryview) -> None:
        """As `add_bytes`, but what residues have beyond their whole bytes is added onto `left`."""
        whole_of = self._elements(words)
        left_of = self._elements(left)
        for index, length, section in self._sections(data):
            for start, whole in bits.whole_bytes(section, length, self.degree):
                whole_of[start : start + len(whole), index] += whole
            for start, beyond in bits.left_over(section, length, self.degree):
                left_of[start : start + len(beyond), index] += beyond

    def join(self, words: Words, left: Left) -> None:
        """Add what is in `left` onto `words`."""
        whole_of = self._elements(words)
        left_of = self._elements(left)
        for index, prime in enumerate(self.primes):
            bits.join(whole_of[:, index], left_of[:, index], prime.bit_length())

    def check(self, data: bytes | memoryview) -> None:
        """Raise `ProtocolViolation` unless all are residues below their prime."""
        for index, length, section in self._sections(data):
            prime = self.primes[index]
            size = self.degree * length // 8
            # Such a prime is just below a power of two: a residue above it has as many bits set at its upper end.
            below = bits.upper_bytes(section, length, self.degree).max(axis=1) < bits.upper_bytes_of(prime)
            rows = np.flatnonzero(~below)
            one_by_one = [section[row * size : (row + 1) * size] for row in rows]
            for part in one_by_one if 8 * len(rows) < len(below) else [section]:
                if int(bits.unpack(part, length, self.degree).max()) >= prime:
                    raise ProtocolViolation(f"a ciphertext holds a value that is no residue modulo {prime}")

    def _elements(self, words: NDArray[Any]) -> NDArray[Any]:
        return words.reshape(-1, len(self.primes), self.degree)

    def _sections(self, data: bytes | memoryview) -> Iterator[tuple[int, int, memoryview]]:
        """Yield (number, bits of a residue, all residues) of a block, for each prime."""
        elements = len(data) // self.granule_bytes
        start = 0
        for index, prime in enumerate(self.primes):
            size = elements * self.degree * prime.bit_length() // 8
            yield index, prime.bit_length(), memoryview(data)[start : start + size]
            start += size


class CiphertextSum(Uploads):
    """The sum of ciphertexts; `settle` before its words are read.

    What residues have beyond whole bytes is summed apart, in 16 bits, and joined now and then: a third of the work.
    """

    def __init__(self, packing: Ciphertexts) -> None:
        super().__init__(packing)
        self._ciphertexts = packing
        self._left = np.zeros(packing.words, dtype=np.uint16)
        self._unsettled = 0
        self._most = np.iinfo(np.uint16).max // 127  # sums of so many values below 2⁷ fit

    def settle(self) -> None:
        """Complete `words`."""
        if self._unsettled:
            self._ciphertexts.join(self.words, self._left)
            self._left[:] = 0
            self._unsettled = 0

    def _complete(self, sender: int, upload: dict[int, memoryview]) -> None:
        if self._unsettled == self._most:
            self.settle()
        for number, data in upload.items():
            words = self._slice(number)
            start = number * self._step
            self._ciphertexts.add_apart(words, self._left[start : start + words.size], data)
        self._unsettled += 1
