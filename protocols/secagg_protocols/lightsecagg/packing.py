"""Packing: how sums of b-bit values ride in elements of prime fields without ever wrapping.

Small sums share an element, in lanes. Sums that are too large for one element ride in one integer W with others, and W
modulo two or three primes: what the server adds up is then ΣW modulo each of them, which is ΣW and nothing else
(Chinese remainders). Digits of a value would not do: the sum of each digit tells who carried.
Of the fields on offer those are taken that make the vector smallest on the wire.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ..core.step import Step
from ..errors import ProtocolViolation, RoundFailed
from ..packing.blocks import block_words
from ..packing.lanes import Lanes, Words
from ..packing.sums import Domain
from ..primitives.field import Elements, PrimeField, remainders

_SHORT = tuple(PrimeField((1 << 24) - below) for below in (3, 17, 33))
"""3 bytes an element. Products need half the multiplications of the others."""
_LONG = tuple(PrimeField((1 << 31) - below) for below in (1, 19))
"""4 bytes an element."""

FIELDS = (*_SHORT, *_LONG)
CHOICES = (_SHORT[:1], _LONG[:1], _SHORT[:2], _LONG, _SHORT)
"""Fields that are used together. The first is the largest; their elements have one size."""

_WORD_BITS = 64
_IN_CACHE = 1 << 14


@dataclass(frozen=True, slots=True)
class FieldPacking:
    """How `domain.length` values are laid into elements of `fields`.

    lanes: sums to one integer W. Element i modulo the first field stands for the same W as element i modulo the second;
    all elements modulo the first stand before those modulo the second.
    """

    fields: tuple[PrimeField, ...]
    domain: Domain
    lanes: int
    granule: ClassVar[int] = 1

    @classmethod
    def of(cls, domain: Domain) -> FieldPacking:
        """Choose the packing with the fewest bytes: in one field where one is enough."""
        found = [packing for fields in CHOICES if (packing := cls.within(fields, domain))]
        alone = [packing for packing in found if len(packing.fields) == 1]
        return min(alone or found, key=lambda packing: packing.words * packing.word_bytes)

    @classmethod
    def within(cls, fields: tuple[PrimeField, ...], domain: Domain) -> FieldPacking | None:
        """Return the packing with the most lanes in these fields; None when no sum fits."""
        largest = domain.participants * ((1 << domain.value_bits) - 1)
        limit = min(prod(field.prime for field in fields), 1 << _WORD_BITS)
        lanes = 0
        packed = largest
        while packed < limit:
            lanes = lanes + 1
            packed = packed << domain.sum_bits | largest
        return cls(fields, domain, lanes) if lanes else None

    @property
    def field(self) -> PrimeField:
        """The first field; for most sums the only one."""
        return self.fields[0]

    @property
    def words(self) -> int:
        """Number of elements."""
        return -(-self.domain.length // self.lanes) * len(self.fields)

    @property
    def word_bytes(self) -> int:
        """Bytes of one element on the wire."""
        return self.field.element_bytes

    @property
    def granule_bytes(self) -> int:
        """Bytes of a granule, which is one element, on the wire."""
        return self.word_bytes

    def sections(self, columns: int) -> Iterator[tuple[PrimeField, slice]]:
        """Yield each field with its part of so many columns: equal parts, in the order of the fields."""
        size = columns // len(self.fields)
        for index, field in enumerate(self.fields):
            yield field, slice(index * size, (index + 1) * size)

    def reduced(self, elements: NDArray[Any]) -> NDArray[Any]:
        """Return integers, shape (columns,), each modulo the field of its section."""
        result = np.empty_like(elements)
        for field, part in self.sections(elements.size):
            remainders(elements[part], field.prime, result[part])
        return result

    def pack(self, vector: NDArray[np.integer]) -> Words:
        """Lay integers in [0, 2^value_bits), shape (length,), into elements, shape (words,)."""
        packed = self._lanes.pack(vector)
        if len(self.fields) == 1:
            return packed
        words = np.empty(self.words, dtype=np.uint64)
        for field, part in self.sections(words.size):
            remainders(packed, field.prime, words[part])
        return words

    @property
    def _lanes(self) -> Lanes:
        return Lanes(self.domain.length, self.domain.sum_bits, self.lanes, self.word_bytes)

    # --- the wire

    def to_bytes(self, words: NDArray[np.integer]) -> memoryview:
        """Encode elements."""
        return self.field.to_bytes(words)

    def from_bytes(self, data: bytes | memoryview) -> Elements:
        """Decode as many elements of every field, section by section. Raises `ProtocolViolation`."""
        elements = self.field.from_bytes(data)
        self._check(elements, elements.size)
        return elements

    def check_block(self, block: int, data: memoryview) -> None:
        """Raise `ProtocolViolation` unless a block of a vector holds elements of its fields, every one."""
        self._check(self.field.from_bytes(data), self.words, block * block_words(self))

    def _check(self, elements: Elements, columns: int, first: int = 0) -> None:
        """Check elements from column `first` on. All are below the first prime, which is the largest."""
        for field, part in list(self.sections(columns))[1:]:
            own = elements[max(0, part.start - first) : max(0, part.stop - first)]
            if own.size and int(own.max()) >= field.prime:
                raise ProtocolViolation(f"a value is no element of GF({field.prime})")

    def add_bytes(self, words: Words, data: memoryview) -> None:
        """Add encoded elements onto `words` in place, as integers: 2¹⁶ of them stay far below 2⁶⁴."""
        words += self.field.from_bytes(data).view(np.uint64)

    # --- the sums

    def total(self, words: Words, survivors: tuple[int, ...], step: Step) -> NDArray[np.uint64]:
        """Return the sums, shape (length,), from their elements.

        Raises `RoundFailed` when they are no sums of that many valid vectors.
        """
        count = len(survivors)
        bits = self.domain.value_bits
        packed, possible = self._composed(words)
        top = self.lanes * self.domain.sum_bits
        total = self._lanes.unpack(packed)
        possible &= top == _WORD_BITS or int(packed.max()) >> top == 0
        possible &= int(total.max()) <= count * ((1 << bits) - 1)
        if not possible:
            raise RoundFailed(
                step.value,
                count,
                count,
                "the values are no sum of valid vectors: some participant sent garbage; nobody can be named",
            )
        return total

    def _composed(self, words: Words) -> tuple[Words, bool]:
        """Return (ΣW, whether all are below 2⁶⁴) from ΣW modulo each prime."""
        if len(self.fields) == 1:
            return words, True
        residues = words.reshape(len(self.fields), -1)
        composed = np.empty(residues.shape[1], dtype=np.uint64)
        fits = True
        for start in range(0, composed.size, _IN_CACHE):
            part = slice(start, start + _IN_CACHE)
            fits &= self._compose(residues[:, part], composed[part])
        return composed, fits

    def _compose(self, residues: Words, composed: Words) -> bool:
        """Put integers together from their residues, by Garner's mixed radix digits. Return whether none passes 2⁶⁴."""
        radix = self.field.prime
        fits = True
        composed[:] = residues[0]
        for field, own in zip(self.fields[1:], residues[1:], strict=True):
            # 2⁶³ bounds all of this: primes have 31 bits where there are two, and 24 where there are three.
            digit = own.view(np.int64) - composed.view(np.int64)
            remainders(digit, field.prime, digit)
            digit *= pow(radix, -1, field.prime)
            remainders(digit, field.prime, digit)
            fits &= int(digit.max()) * radix < 1 << _WORD_BITS
            higher = digit.view(np.uint64) * np.uint64(radix)
            composed += higher
            fits &= not (composed < higher).any()
            radix *= field.prime
        return fits
