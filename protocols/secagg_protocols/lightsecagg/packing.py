"""Packing: how sums of b-bit values ride in elements of a prime field without ever wrapping around it.

Small sums share an element, in lanes; a sum that is too large for one element is split into limbs, whose own sums fit.
Of the fields on offer the one that makes the vector smallest on the wire is taken.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from ..errors import RoundFailed
from ..field import PrimeField
from ..lanes import Lanes, Words
from ..scheme import Domain, Step

FIELDS = (PrimeField((1 << 24) - 3), PrimeField((1 << 31) - 1))
"""3 and 4 bytes an element. Products over the first need half the multiplications."""


@dataclass(frozen=True, slots=True)
class FieldPacking:
    """How `domain.length` values are laid into elements of `field`.

    lanes: sums to an element; more than one only when limbs = 1. limbs: elements to a value, each of `limb_bits` bits
    of it (the last may be narrower); limb i of all values stands before limb i + 1 of the first.
    """

    field: PrimeField
    domain: Domain
    lanes: int
    limbs: int
    limb_bits: int
    granule: ClassVar[int] = 1

    @classmethod
    def of(cls, domain: Domain) -> FieldPacking:
        """Choose the packing with the fewest bytes."""
        return min((cls._in(field, domain) for field in FIELDS), key=lambda packing: packing.words * packing.word_bytes)

    @classmethod
    def _in(cls, field: PrimeField, domain: Domain) -> FieldPacking:
        largest = domain.participants * ((1 << domain.value_bits) - 1)
        if largest < field.prime:
            lanes, packed = 1, largest
            while (packed := packed << domain.sum_bits | largest) < field.prime:
                lanes += 1
            return cls(field, domain, lanes, 1, domain.value_bits)
        # The widest limb whose sum over all participants is below the prime.
        limb_bits = ((field.prime - 1) // domain.participants + 1).bit_length() - 1
        return cls(field, domain, 1, -(-domain.value_bits // limb_bits), limb_bits)

    @property
    def words(self) -> int:
        """Number of elements."""
        return -(-self.domain.length // self.lanes) * self.limbs

    @property
    def word_bytes(self) -> int:
        """Bytes of one element on the wire."""
        return self.field.element_bytes

    def pack(self, vector: NDArray[np.integer]) -> Words:
        """Lay integers in [0, 2^value_bits), shape (length,), into elements, shape (words,)."""
        if self.limbs == 1:
            return self._lanes.pack(vector)
        values, mask = vector.astype(np.uint64), np.uint64((1 << self.limb_bits) - 1)
        return np.concatenate([values >> np.uint64(limb * self.limb_bits) & mask for limb in range(self.limbs)])

    @property
    def _lanes(self) -> Lanes:
        return Lanes(self.domain.length, self.domain.sum_bits, self.lanes, self.word_bytes)

    def to_bytes(self, words: NDArray[np.integer]) -> memoryview:
        """Encode elements."""
        return self.field.to_bytes(words)

    def add_bytes(self, words: Words, data: memoryview) -> None:
        """Add encoded elements onto `words` in place, as integers: 2¹⁶ of them stay far below 2⁶⁴."""
        words += self.field.from_bytes(data).view(np.uint64)

    def total(self, words: Words, survivors: tuple[int, ...], step: Step) -> NDArray[np.uint64]:
        """Return the sums, shape (length,), from their elements.

        Raises `RoundFailed` when they are no sums of that many valid vectors.
        """
        count, bits = len(survivors), self.domain.value_bits
        if self.limbs == 1:
            total = self._lanes.unpack(words)
            possible = int(words.max()) >> self.lanes * self.domain.sum_bits == 0
            possible &= int(total.max()) <= count * ((1 << bits) - 1)
        else:
            total, possible = np.zeros(self.domain.length, dtype=np.uint64), True
            for limb, part in enumerate(words.reshape(self.limbs, -1)):
                width = min(self.limb_bits, bits - limb * self.limb_bits)
                possible &= int(part.max()) <= count * ((1 << width) - 1)
                total += part << np.uint64(limb * self.limb_bits)
        if not possible:
            raise RoundFailed(
                step.value,
                count,
                count,
                "the values are no sum of valid vectors: some participant sent garbage; nobody can be named",
            )
        return total
