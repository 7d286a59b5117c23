"""Reading secrets off shares, whoever is left out, and seeing whether the shares fit each other.

Everything is a linear form over the shares at one set of points. Leaving points out changes each coefficient by the
product of its distances to them: logarithms are added, nothing is computed anew. Random words of the dual code show a
wrong share: one that is off escapes all of them with probability 2⁻⁶⁴.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations, islice
from math import comb

import numpy as np
from numpy.typing import NDArray

from . import shamir
from .field import PRIME, Elements, Floats, Logarithms, from_logarithms, logarithms, multiply, uniform
from .randomness import Randomness

CHECKS = 4
_AT_ONCE = 512
_STEP = 32

Mask = NDArray[np.bool_]
"""Which of the points, shape (m,)."""


class Interpolation:
    """The linear forms over shares held at `points`, m distinct ids, of polynomials of a degree below `threshold`."""

    def __init__(self, points: Elements, threshold: int, randomness: Randomness) -> None:
        self._threshold, self._x = threshold, logarithms(points)
        self._differences = logarithms(points[:, None] - points[None, :])
        self._distances = logarithms(-points)
        self._weights: Logarithms = -self._differences.sum(axis=1, dtype=np.uint16)
        self._factors = uniform((max(0, points.size - threshold), CHECKS), randomness)
        self._sums = [np.zeros((points.size, CHECKS), dtype=np.int64)]  # of the first terms, _STEP more in each
        self._last: tuple[bytes, Floats] | None = None
        self._values: tuple[bytes, Floats] | None = None
        self._weighed: tuple[bytes, Logarithms] | None = None

    def forms(self, kept: Mask) -> Floats:
        """Return the form that gives the secret from the points kept, and CHECKS that are 0 when their shares fit.

        Shape (1 + CHECKS, kept points). With `threshold` of them nothing can be seen, and every check is 0.
        """
        name = kept.tobytes()
        if self._last is None or self._last[0] != name:
            weights = self._weights_of(kept)
            distances = self._distances[kept]
            secret: Logarithms = weights + distances.sum(dtype=np.uint16) - distances
            # A word of the dual code has a polynomial's values times the weights; its degree: below m − threshold.
            polynomials = self._random_polynomials(int(kept.sum()) - self._threshold)[kept]
            checks = from_logarithms(weights)[:, None] * polynomials % PRIME
            self._last = name, np.concatenate([from_logarithms(secret)[None, :], checks.T])
        return self._last[1]

    def values_at(self, kept: Mask, others: NDArray[np.intp]) -> Floats:
        """Return the forms that give the values at other points from those at the points kept: (others, kept)."""
        name = kept.tobytes() + others.tobytes()
        if self._values is None or self._values[0] != name:
            differences = self._differences[np.ix_(others, np.flatnonzero(kept))]
            totals = differences.sum(axis=1, keepdims=True, dtype=np.uint16)
            coefficients: Logarithms = self._weights_of(kept) + totals - differences
            self._values = name, from_logarithms(coefficients)
        return self._values[1]

    def weights(self, kept: Mask) -> Elements:
        """Return 1 / ∏ (xᵢ − xₖ) over the other points kept, for each of them."""
        return from_logarithms(self._weights_of(kept)).astype(np.int64)

    def _weights_of(self, kept: Mask) -> Logarithms:
        name = kept.tobytes()
        if self._weighed is None or self._weighed[0] != name:
            self._weighed = name, self._weigh(kept)
        return self._weighed[1]

    def _weigh(self, kept: Mask) -> Logarithms:
        left_out = np.flatnonzero(~kept)
        # log(xₖ − xᵢ) along rows, which lie together in memory; log −1 = (p − 1) / 2 for each turns it into xᵢ − xₖ.
        distances = self._differences[left_out].sum(axis=0, dtype=np.uint16) + np.uint16(left_out.size % 2 << 15)
        weights: Logarithms = (self._weights + distances)[kept]
        return weights

    def _random_polynomials(self, degree: int) -> Elements:
        """Return the values at all points of random polynomials below this degree: the first of one sum of terms."""
        while len(self._sums) * _STEP <= degree:
            start = (len(self._sums) - 1) * _STEP
            self._sums.append(self._sums[-1] + self._terms(start, start + _STEP))
        whole = degree // _STEP
        return (self._sums[whole] + self._terms(whole * _STEP, degree)) % PRIME

    def _terms(self, low: int, high: int) -> Elements:
        degrees = np.arange(low, high).astype(np.uint16)
        powers: Logarithms = self._x[:, None] * degrees
        return multiply(from_logarithms(powers), self._factors[low:high])

    def guesses(self, elements: Elements, kept: Mask, most: int, randomness: Randomness) -> Iterator[Guesses]:
        """Yield the secrets of all sets of `threshold` points, or of `most` random ones where they are more.

        `elements`: shape (m, LIMBS), the shares of one secret.
        """
        rows = np.flatnonzero(kept)
        spare = rows.size - self._threshold
        # Without the points E it is Σⱼ cⱼ Mⱼ: Mⱼ = Σᵢ Lᵢ(0) xᵢʲ yᵢ over all points; Σⱼ cⱼ zʲ = ∏_E (1 − z / xₖ).
        exponents: Logarithms = self._x[kept] * np.arange(spare + 1, dtype=np.uint16)[:, None]
        moments = multiply(self.forms(kept)[0] * from_logarithms(exponents) % PRIME, elements[kept])
        inverses = from_logarithms(-self._x).astype(np.int64)
        for left_out in _subsets(rows, spare, most, randomness):
            products = np.zeros((len(left_out), spare + 1), dtype=np.int64)
            products[:, 0] = 1
            for place in range(spare):
                ratios = inverses[left_out[:, place], None]
                products[:, 1 : place + 2] = (products[:, 1 : place + 2] - products[:, : place + 1] * ratios) % PRIME
            yield left_out, shamir.secrets_of(multiply(products, moments))


Guesses = tuple[NDArray[np.intp], list[bytes | None]]
"""Rows of points left out, (guesses, spare), and the secret without them; None where that is no secret."""


def _subsets(rows: NDArray[np.intp], size: int, most: int, randomness: Randomness) -> Iterator[NDArray[np.intp]]:
    """Yield sets of so many of the rows, as many sets at once as are fast."""
    if comb(rows.size, size) <= most:
        every = combinations(rows.tolist(), size)
        while part := list(islice(every, _AT_ONCE)):
            yield np.array(part, dtype=np.intp).reshape(len(part), size)
        return
    generator = np.random.default_rng(int.from_bytes(randomness.bytes(16), "little"))
    for start in range(0, most, _AT_ONCE):
        order = generator.random((min(_AT_ONCE, most - start), rows.size))
        yield rows[order.argpartition(size, axis=1)[:, :size]]
