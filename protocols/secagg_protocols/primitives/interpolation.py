"""Reading secrets off shares, whoever is left out, and seeing whether the shares fit each other.

Everything is a linear form over the shares at one set of points. Leaving points out changes each coefficient by the
product of its distances to them: logarithms are added, nothing is computed anew. Random words of the dual code show a
wrong share: one that is off escapes all of them with probability 2⁻⁶⁴.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations, islice
from math import comb
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from . import shamir
from .field import PRIME, Elements, Floats, Logarithms, from_logarithms, logarithms, multiply, uniform
from .randomness import Randomness

CHECKS = 4
_AT_ONCE = 512
_STEP = 32
_COLUMNS = 1 << 10

_FEW = 8
"""Of so few dealers logarithms are added up one by one, of more by a product of matrices."""

Mask: TypeAlias = NDArray[np.bool_]
"""Which of the points, shape (m,)."""
Masks: TypeAlias = NDArray[np.bool_]
"""Which of the points for each dealer, shape (dealers, m)."""


class Interpolation:
    """The linear forms over shares held at `points`, m distinct ids, of polynomials of a degree below `threshold`."""

    def __init__(self, points: Elements, threshold: int, randomness: Randomness) -> None:
        self._threshold = threshold
        self._x = logarithms(points)
        self._differences = logarithms(points[:, None] - points[None, :])
        self._distances = logarithms(-points)
        self._weights: Logarithms = -self._differences.sum(axis=1, dtype=np.uint16)
        self._factors = uniform((max(0, points.size - threshold), CHECKS), randomness)
        self._sums = [np.zeros((points.size, CHECKS), dtype=np.int64)]  # of the first terms, _STEP more in each

    def read(self, kept: Masks, elements: Elements | Floats) -> tuple[Elements, NDArray[np.bool_]]:
        """Return the limbs of each dealer's secret, (dealers, LIMBS), from the shares kept; and whose do not fit.

        `elements`: shape (m, dealers, LIMBS); those not kept may be anything. With `threshold` shares nothing can be
        seen, and they fit.
        """
        dealers = len(kept)
        if (kept == kept[0]).all():
            values = multiply(self._forms(kept[:1])[0], elements.reshape(len(elements), -1))
            values = values.reshape(-1, dealers, shamir.LIMBS).swapaxes(0, 1)
        else:
            values = multiply(self._forms(kept), elements.swapaxes(0, 1))
        return values[:, 0], np.asarray(values[:, 1:].any(axis=(1, 2)))

    def _forms(self, kept: Masks) -> Floats:
        """Return for each dealer the form that gives the secret from the points kept, and CHECKS that are 0 on words.

        Shape (dealers, 1 + CHECKS, m), with 0 at the other points.
        """
        weights = self._weights_of(kept)
        distances = self._distances
        totals = (kept * distances).sum(axis=1, keepdims=True, dtype=np.uint16)
        secret: Logarithms = weights + totals - distances
        # A word of the dual code has a polynomial's values times the weights; its degree: below the spare points.
        degrees, which = np.unique(kept.sum(axis=1) - self._threshold, return_inverse=True)
        polynomials = np.stack([self._random_polynomials(degree).T for degree in degrees.tolist()])
        exponents: Logarithms = weights[:, None, :] + logarithms(polynomials)[which]
        checks = from_logarithms(exponents) * (polynomials != 0)[which]
        forms: Floats = np.concatenate([from_logarithms(secret)[:, None, :], checks], axis=1) * kept[:, None, :]
        return forms

    def misfits(self, kept: Masks, others: Masks, words: Elements) -> Masks:
        """Tell which words at other points lie off each dealer's polynomials: those through the points kept.

        `words`: shape (m, dealers, columns); they fit at the points kept.
        """
        rows = np.flatnonzero(others.any(axis=0))
        off = np.zeros_like(others)
        if rows.size:
            # P(x) = ∏ (x − xₖ) · Σᵢ wᵢ yᵢ / (x − xᵢ) over the points kept, with the weights w of their own.
            used = np.flatnonzero(kept.any(axis=0))
            weights = self.weights_of(kept).T[used]
            terms = weights[:, :, None] * words[used] % PRIME
            quotients = from_logarithms(-self._differences[np.ix_(rows, used)])
            sums = multiply(quotients, terms.reshape(used.size, -1)).reshape(rows.size, *words.shape[1:])
            totals = _sums_of_logarithms(kept, self._differences[rows].T).T
            expected = from_logarithms(totals).astype(np.int64)[:, :, None] * sums % PRIME
            off[:, rows] = (expected != words[rows]).any(axis=2).T
        return off & others

    def weights_of(self, kept: Masks) -> Elements:
        """Return 1 / ∏ (xᵢ − xₖ) over the other points kept, for each of them, and 0 at the others: (dealers, m)."""
        weights: Elements = (from_logarithms(self._weights_of(kept)) * kept).astype(np.int64)
        return weights

    def _weights_of(self, kept: Masks) -> Logarithms:
        """Return the logarithms of the weights of the points kept, (dealers, m); anything at the others."""
        left_out = ~kept
        # log(xₖ − xᵢ) along rows, which lie together in memory; log −1 = (p − 1) / 2 for each turns it into xᵢ − xₖ.
        distances = _sums_of_logarithms(left_out, self._differences)
        signs = (left_out.sum(axis=1, keepdims=True) % 2 << 15).astype(np.uint16)
        weights: Logarithms = self._weights + distances + signs
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

    def guesses(self, elements: Elements | Floats, kept: Mask, most: int, randomness: Randomness) -> Iterator[Guesses]:
        """Yield the secrets of all sets of `threshold` points, or of `most` random ones where they are more.

        `elements`: shape (m, LIMBS), the shares of one secret.
        """
        rows = np.flatnonzero(kept)
        spare = rows.size - self._threshold
        # Without the points E it is Σⱼ cⱼ Mⱼ: Mⱼ = Σᵢ Lᵢ(0) xᵢʲ yᵢ over all points; Σⱼ cⱼ zʲ = ∏_E (1 − z / xₖ).
        exponents: Logarithms = self._x[kept] * np.arange(spare + 1, dtype=np.uint16)[:, None]
        secret = self._forms(kept[None, :])[0, 0, kept]
        moments = multiply(secret * from_logarithms(exponents) % PRIME, elements[kept])
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


def _sums_of_logarithms(chosen: Masks, summed: Logarithms) -> Logarithms:
    """Return for each mask the sum of the rows chosen: made once for masks that are the same."""
    places: dict[bytes, int] = {}
    which = [places.setdefault(mask.tobytes(), len(places)) for mask in np.packbits(chosen, axis=1)]
    if len(places) == len(chosen):
        return _sums_for_each(chosen, summed)
    first = [which.index(place) for place in range(len(places))]
    sums: Logarithms = _sums_for_each(chosen[first], summed)[which]
    return sums


def _sums_for_each(chosen: Masks, summed: Logarithms) -> Logarithms:
    """Return the sums; of many masks by a product of matrices, exact before it wraps."""
    if len(chosen) <= _FEW:
        return np.stack([summed[rows].sum(axis=0, dtype=np.uint16) for rows in chosen])
    always = chosen.all(axis=0)
    sometimes = chosen.any(axis=0) & ~always
    common = summed[always].sum(axis=0, dtype=np.uint16)
    sums = np.empty((len(chosen), summed.shape[1]), dtype=np.uint16)
    varied = summed
    if not sometimes.all():
        varied = summed[sometimes]
        chosen = chosen[:, sometimes]
    weights = chosen.astype(np.float64)
    for start in range(0, summed.shape[1], _COLUMNS):
        part = slice(start, start + _COLUMNS)
        sums[:, part] = (weights @ varied[:, part].astype(np.float64)).astype(np.int64)
    sums += common
    return sums


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
