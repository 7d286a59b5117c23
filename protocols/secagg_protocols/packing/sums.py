"""What is summed, and what comes out: integers of so many bits, and their sum, packed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from .lanes import Lanes, Words


@dataclass(frozen=True)
class Domain:
    """What a scheme sums: `length` integers per participant, each in [0, 2^value_bits), exactly.

    noise_bound: what a participant's noise raises every value by, and may lower it by again: a vector that is given
    then has values up to `largest` only.
    """

    participants: int
    length: int
    value_bits: int
    noise_bound: int = 0

    @property
    def largest(self) -> int:
        """The largest value that may be given."""
        return (1 << self.value_bits) - 1 - 2 * self.noise_bound

    @cached_property
    def sum_bits(self) -> int:
        """Bits of the smallest ring that holds every possible sum: no sum can wrap."""
        return (self.participants * ((1 << self.value_bits) - 1)).bit_length()

    @cached_property
    def lanes(self) -> Lanes:
        """How the sums are packed."""
        return Lanes.of(self.length, self.sum_bits)

    def check(self, vector: NDArray[np.generic]) -> NDArray[np.integer]:
        """Return the vector if it can be summed. Raises `InputError` naming what is wrong and the remedy."""
        try:
            array = np.asarray(vector)
        except ValueError as error:
            raise InputError(f"the vector is no array: {error}") from None
        if array.dtype.kind not in "iu":
            raise InputError(
                f"vector has dtype {array.dtype}; secure sums are over integers: encode it with secagg.codec first"
            )
        if array.shape != (self.length,):
            raise InputError(f"vector has shape {array.shape}; the scheme was made for length={self.length}")
        if array.dtype.kind == "u" and (1 << 8 * array.dtype.itemsize) - 1 <= self.largest:
            return array  # no value of this type is out of range
        low = int(array.min())
        high = int(array.max())
        if low < 0 or high > self.largest:
            value = low if low < 0 else high
            room = f", of which its noise takes {2 * self.noise_bound}" if self.noise_bound else ""
            raise InputError(
                f"value {value} is outside [0, 2**{self.value_bits}){room}; scale it down or raise value_bits"
            )
        return array

    def settled(self, output: Output) -> Output:
        """Return a sum without what noise raised it by; as it is where there is no noise."""
        if not self.noise_bound:
            return output
        raised = np.uint64(len(output.survivors) * self.noise_bound)
        return Output(output.total.view(np.uint64) - raised, output.survivors, signed=True)


_PART_WORDS = 1 << 17


@dataclass(frozen=True, eq=False)
class Output:
    """The result of a round. survivors: whose vectors are in the sum, ascending.

    words: the sum, packed by `lanes`; without lanes, the sum itself. Read `total`, or `parts` where 8 bytes for every
    coordinate are too many to hold at once. signed: there is noise in it, so that it may be negative.
    """

    words: Words
    survivors: tuple[int, ...]
    lanes: Lanes | None = None
    signed: bool = False

    @cached_property
    def total(self) -> NDArray[np.integer[Any]]:
        """The sum: uint64 (with noise in it, int64), shape (length,). Unpacked when first asked for, and kept."""
        return self._as_said(self.words if self.lanes is None else self.lanes.unpack(self.words))

    def parts(self) -> Iterator[tuple[int, NDArray[np.integer[Any]]]]:
        """Yield (number of its first coordinate, sums) over the whole sum, a piece at a time."""
        lanes = self.lanes or Lanes.of(self.words.size, 64)
        for start, sums in lanes.unpack_parts(self.words, _PART_WORDS):
            yield start, self._as_said(sums)

    def _as_said(self, sums: Words) -> NDArray[np.integer[Any]]:
        return sums.view(np.int64) if self.signed else sums
