"""How ring elements travel: polynomials of residues, each cut to whole bytes, in blocks of whole polynomials."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from secagg_protocols import ProtocolViolation
from secagg_protocols.lanes import Words, wire_words

from .noise import DEGREE

_IN_CACHE = 1 << 14


@dataclass(frozen=True, slots=True)
class Ciphertexts:
    """Packing of `polynomials` elements of R_q, q = `modulus`. The sum of all participants' residues fits 64 bits."""

    polynomials: int
    modulus: int

    @property
    def words(self) -> int:
        """Residues of one ciphertext."""
        return self.polynomials * DEGREE

    @property
    def word_bytes(self) -> int:
        """Bytes of one residue on the wire."""
        return -(-self.modulus.bit_length() // 8)

    @property
    def granule(self) -> int:
        """A polynomial is never torn apart."""
        return DEGREE

    @property
    def size(self) -> int:
        """Bytes of one ciphertext on the wire."""
        return self.words * self.word_bytes

    def to_bytes(self, residues: Words) -> memoryview:
        """Encode residues, little-endian."""
        width = self.word_bytes
        buffer = bytearray(residues.size * width + 8)
        # Overlapping 8-byte stores in ascending order: each residue's surplus bytes are overwritten by the next one.
        np.ndarray((residues.size,), dtype="<u8", buffer=buffer, strides=(width,))[:] = residues
        return memoryview(buffer)[: residues.size * width]

    def add_bytes(self, words: Words, data: bytes | memoryview) -> None:
        """Add residues from the wire onto `words` in place, as integers: they are reduced once, at the end."""
        for start, residues in self._parts(data, words.size):
            words[start : start + residues.size] += residues

    def check(self, data: bytes | memoryview) -> None:
        """Raise `ProtocolViolation` unless all are residues below q."""
        for _, residues in self._parts(data, len(data) // self.word_bytes):
            if int(residues.max()) >= self.modulus:
                raise ProtocolViolation(f"a ciphertext holds a value that is no residue modulo {self.modulus}")

    def _parts(self, data: bytes | memoryview, count: int) -> Iterator[tuple[int, Words]]:
        """Yield (number of the first, residues), each in the same memory as the one before."""
        own_bytes = np.uint64((1 << 8 * self.word_bytes) - 1)
        scratch = np.empty(min(count, _IN_CACHE), dtype=np.uint64)
        for start, loaded in wire_words(data, count, self.word_bytes, _IN_CACHE):
            yield start, np.bitwise_and(loaded, own_bytes, out=scratch[: loaded.size])
