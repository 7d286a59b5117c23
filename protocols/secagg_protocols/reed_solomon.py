"""Finding wrong shares: Shamir shares are a Reed–Solomon codeword (McEliece and Sarwate, CACM 1981).

With m shares of a degree t − 1 polynomial, up to ⌊(m − t)/2⌋ wrong ones are located, by the syndromes of the
generalised Reed–Solomon code and the Berlekamp–Massey algorithm (Massey 1969). Columns are first folded into a few
random combinations, so that the cost does not grow with the number of secrets; a wrong share escapes one combination
with probability 1/p, all of them with 2⁻⁶⁴ or less.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .errors import SecAggError
from .field import GF65537, Elements, PrimeField
from .randomness import Randomness

_COMBINATIONS = 4
_COLUMNS = 1 << 14


class TooManyErrors(SecAggError):
    """More shares are wrong than this many shares can tell apart."""


class ShareCode:
    """The code of Shamir shares held at `points` (m distinct ids, m ≥ threshold); made once per set of holders."""

    def __init__(self, points: Sequence[int], threshold: int, field: PrimeField = GF65537) -> None:
        self.points, self.threshold, self._field = tuple(points), threshold, field
        self._x = np.asarray(points, dtype=np.int64)
        self._checks = _parity_checks(field, self._x, threshold)

    @property
    def correctable(self) -> int:
        """How many wrong shares can be located."""
        return (len(self.points) - self.threshold) // 2

    def wrong_shares(self, elements: Elements, randomness: Randomness) -> frozenset[int]:
        """Return the points whose shares do not lie on the polynomials.

        `elements`: shape (m, columns), one polynomial per column. With m = threshold every vector is a codeword and
        nothing can be seen; the result is then empty. Raises `TooManyErrors` beyond `correctable`.
        """
        if len(self.points) == self.threshold:
            return frozenset()
        field = self._field
        words = _fold(field, elements, randomness)
        syndromes = field.multiply(self._checks, words)
        wrong: set[int] = set()
        for column in range(_COMBINATIONS):
            if syndromes[:, column].any():
                wrong |= _locate(field, self._x, syndromes[:, column])
        keep = ~np.isin(self._x, list(wrong))
        if len(wrong) > self.correctable or (
            wrong and field.multiply(_parity_checks(field, self._x[keep], self.threshold), words[keep]).any()
        ):
            raise TooManyErrors(f"more than {self.correctable} of {len(self.points)} shares are wrong")
        return frozenset(wrong)


def _fold(field: PrimeField, elements: Elements, randomness: Randomness) -> Elements:
    """Return random combinations of the columns, shape (m, _COMBINATIONS)."""
    folded = np.zeros((elements.shape[0], _COMBINATIONS), dtype=np.int64)
    for start in range(0, elements.shape[1], _COLUMNS):
        part = elements[:, start : start + _COLUMNS]
        folded += field.multiply(part, field.uniform((part.shape[1], _COMBINATIONS), randomness))
    return folded % field.prime


def _parity_checks(field: PrimeField, x: Elements, threshold: int) -> Elements:
    """Return H with H · codeword = 0: row j is vᵢ xᵢʲ with vᵢ = 1 / ∏_{k ≠ i} (xᵢ − xₖ)."""
    differences = (x[:, None] - x[None, :]) % field.prime
    np.fill_diagonal(differences, 1)
    weights = field.inverse(field.product(differences))
    return (field.powers(x, x.size - threshold) * weights[:, None] % field.prime).T


def _locate(field: PrimeField, x: Elements, syndromes: Elements) -> set[int]:
    """Return the error positions: points whose inverse is a root of the error locator polynomial."""
    locator = _berlekamp_massey([int(s) for s in syndromes], field.prime)
    errors = len(locator) - 1
    if 2 * errors > syndromes.size:
        raise TooManyErrors("the shares disagree in more places than can be corrected")
    points = field.powers(field.inverse(x), errors + 1)
    values = field.multiply(points, np.asarray(locator, dtype=np.int64)[:, None])[:, 0]
    found = {int(point) for point in x[values == 0]}
    if len(found) != errors:
        raise TooManyErrors("the shares disagree in more places than can be corrected")
    return found


def _berlekamp_massey(sequence: list[int], prime: int) -> list[int]:
    """Return the shortest recurrence C with C₀ = 1 and Σ Cᵢ s_{n−i} = 0."""
    current, previous = [1], [1]
    length, gap, last = 0, 1, 1
    for n, value in enumerate(sequence):
        terms = (current[i] * sequence[n - i] for i in range(1, min(length, len(current) - 1) + 1))
        discrepancy = (value + sum(terms)) % prime
        if discrepancy == 0:
            gap += 1
            continue
        factor = discrepancy * pow(last, -1, prime) % prime
        shifted = [0] * gap + [factor * c % prime for c in previous]
        width = max(len(current), len(shifted))
        padded = current + [0] * (width - len(current))
        updated = [(a - b) % prime for a, b in zip(padded, shifted + [0] * (width - len(shifted)), strict=True)]
        if 2 * length <= n:
            previous, last = current, discrepancy
            length, gap = n + 1 - length, 1
        else:
            gap += 1
        current = updated
    return (current + [0] * (length + 1))[: length + 1]
