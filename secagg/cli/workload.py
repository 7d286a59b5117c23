"""A made-up workload: vectors and dropouts that follow from a seed, made one at a time."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from secagg_protocols import Output

_PIECE = 1 << 16
_DROPOUTS = 0  # the stream that chooses who drops out; participants are 1..n


@dataclass(frozen=True)
class Workload:
    """`clients` vectors of `length` uniform integers in [0, 2**value_bits), without `reserved` of them.

    No two are held at once. reserved: values at the top, the room of noise.
    """

    seed: int
    clients: int
    length: int
    value_bits: int
    reserved: int = 0

    def vector(self, participant: int) -> npt.NDArray[np.unsignedinteger[Any]]:
        """Return the same vector for the same participant, every time."""
        return self._draw(self._stream(participant), self.length)

    def _draw(self, stream: np.random.Generator, count: int) -> npt.NDArray[np.unsignedinteger[Any]]:
        # In pieces, so that a part of a vector can be made without the rest.
        dtype = np.min_scalar_type((1 << self.value_bits) - 1)
        drawn = np.empty(count, dtype)
        end = (1 << self.value_bits) - self.reserved
        for start in range(0, count, _PIECE):
            size = min(_PIECE, count - start)
            drawn[start : start + size] = stream.integers(0, end, size=size, dtype=dtype)
        return drawn

    def dropouts(self, fraction: float) -> list[int]:
        """Return the ids of `fraction` (0 to 1) of the participants, rounded to whole ones."""
        chosen = self._stream(_DROPOUTS).permutation(self.clients)[: round(fraction * self.clients)]
        return sorted(int(index) + 1 for index in chosen)

    def largest_difference(self, output: Output) -> int:
        """Return max |sum − plain sum over its survivors| over all coordinates, exactly: 0 for a correct round."""
        worst = 0
        for sums, right in self._beside(output):
            difference = np.maximum(sums, right) - np.minimum(sums, right)
            worst = max(worst, int(difference.max(initial=0)))
        return worst

    def mean_squared_difference(self, output: Output) -> float:
        """Return the mean of (sum − plain sum over its survivors)² over all coordinates of a sum with noise."""
        squares = 0.0
        for sums, right in self._beside(output):
            difference = (sums - right).astype(np.float64)
            squares += float(difference @ difference)
        return squares / self.length

    def _beside(self, output: Output) -> Iterator[tuple[npt.NDArray[np.integer[Any]], npt.NDArray[np.integer[Any]]]]:
        """Yield (a piece of the sum, the same piece of the plain sum over its survivors)."""
        streams = [self._stream(survivor) for survivor in output.survivors]
        # The plain sum from coordinate `first` up to `end`: both sides come in pieces, of different sizes.
        expected = np.zeros(0, np.uint64)
        first = 0
        end = 0
        for start, sums in output.parts():
            while start + sums.size > end:
                piece = np.zeros(min(_PIECE, self.length - end), np.uint64)
                for stream in streams:
                    piece += self._draw(stream, piece.size)
                expected = np.concatenate((expected[start - first :], piece))
                first = start
                end += piece.size
            yield sums, expected[start - first : start - first + sums.size].view(sums.dtype)

    def _stream(self, participant: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, participant])
