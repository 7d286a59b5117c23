"""Arrays of one update that are equal in every value: tied weights, which a state dict holds under two names.

They are rounded once, so that the means under both names are equal again. (Rounded apart they would come back
different, and whichever is loaded last would win.) That they share memory at one site is not to be seen at another, nor
after any transport; that they are equal is.
"""

from collections.abc import Hashable
from typing import NamedTuple

import numpy as np

from .layout import FloatArray

_SAMPLE = 16


class Encoding(NamedTuple):
    """An array whose values are in the vector. start: where. outside: how many of them were clipped."""

    array: FloatArray
    start: int
    outside: int


class Twins:
    """The arrays that were encoded so far. Only those that begin and end alike are compared."""

    def __init__(self) -> None:
        self._held: dict[Hashable, list[Encoding]] = {}

    def equal_to(self, array: FloatArray, clip: float) -> Encoding | None:
        """The encoding of an array with the same values and clip; None where there is none."""
        for other in self._held.get(_key(array, clip), ()):
            if np.array_equal(other.array, array):
                return other
        return None

    def add(self, encoding: Encoding, clip: float) -> None:
        """Remember one."""
        self._held.setdefault(_key(encoding.array, clip), []).append(encoding)


def _key(array: FloatArray, clip: float) -> Hashable:
    return array.dtype.str, array.size, clip, array[:_SAMPLE].tobytes(), array[-_SAMPLE:].tobytes()
