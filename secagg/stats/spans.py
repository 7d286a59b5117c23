"""The public range of each coordinate of one site's vector: what makes it a vector of unsigned integers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from secagg_protocols.errors import ParameterError

MOST_BITS = 63


@dataclass(frozen=True)
class Span:
    """The lowest and the highest integer that one site can have in each of `count` coordinates."""

    count: int
    low: int
    high: int

    def __post_init__(self) -> None:
        if not self.low <= self.high:
            raise ParameterError(f"a span from {self.low} to {self.high} is empty")


@dataclass(frozen=True)
class Spans:
    """Spans, one after the other."""

    each: tuple[Span, ...]

    @classmethod
    def of(cls, *each: tuple[int, int, int]) -> Spans:
        """Make spans of (count, low, high)."""
        return cls(tuple(Span(*one) for one in each if one[0]))

    @classmethod
    def joined(cls, parts: Iterable[Spans]) -> Spans:
        """Return all spans of some, in their order."""
        return cls(tuple(span for part in parts for span in part.each))

    @property
    def length(self) -> int:
        """Coordinates in all."""
        return sum(span.count for span in self.each)

    @property
    def bits(self) -> int:
        """Bits of the largest value once each lies above its low. At least 1."""
        return max((int(span.high - span.low).bit_length() for span in self.each), default=0) or 1

    @cached_property
    def low(self) -> NDArray[np.int64]:
        """The lowest integer, by coordinate."""
        return np.repeat([span.low for span in self.each], [span.count for span in self.each]).astype(np.int64)

    @cached_property
    def high(self) -> NDArray[np.int64]:
        """The highest integer, by coordinate."""
        return np.repeat([span.high for span in self.each], [span.count for span in self.each]).astype(np.int64)

    def check(self, participants: int = 1) -> None:
        """Raise `ParameterError` unless the sum over so many sites fits 63 bits, each value offset by its low."""
        widest = max((max(span.high - span.low, abs(span.low), abs(span.high)) for span in self.each), default=0)
        if widest * participants >= 1 << MOST_BITS:
            bits = (widest * participants).bit_length()
            raise ParameterError(
                f"a sum over {participants} site(s) of up to {widest} takes {bits} bits, and {MOST_BITS} are there: "
                "lower rows, or give fewer decimals or narrower bounds"
            )

    def holds(self, vector: NDArray[np.int64], times: int = 1) -> bool:
        """Whether a vector, or a sum of `times` vectors, can be one of these spans."""
        if vector.shape != (self.length,):
            return False
        return bool((vector >= times * self.low).all() and (vector <= times * self.high).all())
