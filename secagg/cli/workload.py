"""A made-up workload: vectors and vanishing participants that follow from a seed, made one at a time."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

_DROPOUTS = 0  # the stream that chooses who vanishes; participants are 1..n


@dataclass(frozen=True)
class Workload:
    """`clients` vectors of `length` uniform integers in [0, 2**value_bits). No two are held at once."""

    seed: int
    clients: int
    length: int
    value_bits: int

    def vector(self, participant: int) -> npt.NDArray[np.unsignedinteger[Any]]:
        """Return the same vector for the same participant, every time."""
        dtype = np.min_scalar_type((1 << self.value_bits) - 1)
        return self._stream(participant).integers(0, 1 << self.value_bits, size=self.length, dtype=dtype)

    def vanishing(self, fraction: float) -> list[int]:
        """Return the ids of `fraction` (0 to 1) of the participants, rounded to whole ones."""
        chosen = self._stream(_DROPOUTS).permutation(self.clients)[: round(fraction * self.clients)]
        return sorted(int(index) + 1 for index in chosen)

    def sum_over(self, participants: Iterable[int]) -> npt.NDArray[np.uint64]:
        """Return the sum of the participants' vectors: what a correct round must output."""
        total = np.zeros(self.length, np.uint64)
        for participant in participants:
            total += self.vector(participant)
        return total

    def _stream(self, participant: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, participant])


def largest_difference(left: npt.NDArray[np.uint64], right: npt.NDArray[np.uint64]) -> int:
    """Return max |left - right| over all coordinates, exactly."""
    return int((np.maximum(left, right) - np.minimum(left, right)).max(initial=0))
