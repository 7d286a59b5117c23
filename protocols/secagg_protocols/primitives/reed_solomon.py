"""Finding wrong shares: Shamir shares are a Reed–Solomon codeword (McEliece and Sarwate, CACM 1981).

The shares of many secrets are many codewords whose errors stand in the same rows, those of the holders that lie: an
interleaved code (Bleichenbacher, Kiayias and Yung, ICALP'03). One locator polynomial is zero at the liars of all of
them. Of m holders, e liars are located whenever 2e < m − t + r, where r is the rank of their errors over the secrets
(Roth and Vontobel, IEEE Trans. Inf. Theory 2014): ⌊(m − t)/2⌋ who lie in concert, all along multiples of one vector
(r = 1); up to m − t − 1 whose lies have nothing to do with each other (r = e).

Columns are first folded into random combinations, so that the cost does not grow with the number of secrets: while all
is well into a few, of which a wrong share escapes each with probability 1/p, all of them with 2⁻⁶⁴ or less.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..errors import SecAggError
from .field import GF65537, Elements, Floats, Logarithms, PrimeField, from_logarithms, logarithms
from .randomness import Randomness

_COMBINATIONS = 4
_COLUMNS = 1 << 14
FEW_ERRORS = 16
"""So many wrong shares are located with little work."""

_SPARE = 8
"""Random combinations of many equations beyond as many as there are unknowns: too few with probability p⁻⁸."""


class TooManyErrors(SecAggError):
    """More shares are wrong than this many shares can tell apart."""


class ShareCode:
    """The code of Shamir shares held at `points` (m distinct ids, m ≥ threshold); made once per set of holders."""

    def __init__(
        self,
        points: Sequence[int],
        threshold: int,
        field: PrimeField = GF65537,
        weights: Elements | None = None,
    ) -> None:
        """weights: 1 / ∏_{k ≠ i} (xᵢ − xₖ) for each point, where they are known already."""
        self.points = tuple(points)
        self.threshold = threshold
        self._field = field
        self._x = np.asarray(points, dtype=np.int64)
        self._weights = _weights(field, self._x) if weights is None else weights
        self._powers = _powers(field, self._x, self._x.size - threshold)

    @property
    def correctable(self) -> int:
        """How many wrong shares can be located whatever they are."""
        return (len(self.points) - self.threshold) // 2

    def wrong_apart(
        self, words: Elements, weights: Elements | None = None
    ) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Tell of words that need not have their errors in common, each for itself, which shares are wrong.

        `words`: shape (m, words). `weights`: the same shape, where a word goes by some of the shares only: theirs among
        themselves, 0 for the others. Returns (wrong, shape (m, words); found, shape (words,)): where more than half of
        a word's spare shares are wrong it is not found (or taken for another word, as few shares away).
        """
        field = self._field
        if weights is None:
            weights = np.broadcast_to(self._weights[:, None], words.shape)
        kept = weights != 0
        spare = kept.sum(axis=0) - self.threshold
        # What a word's own syndromes are is known up to as many as it has spare shares: the others say nothing.
        syndromes = field.multiply(self._powers.T, words * weights % field.prime).T
        syndromes[np.arange(syndromes.shape[1]) >= spare[:, None]] = 0
        wrong = np.zeros(words.shape, dtype=bool)
        found = np.ones(words.shape[1], dtype=bool)
        off = np.flatnonzero(syndromes.any(axis=1))
        if off.size:
            locators, errors = _shortest_recurrences(field, syndromes[off], spare[off])
            inverses = _powers(field, field.inverse(self._x), locators.shape[1])
            zeros = (field.multiply(inverses, locators.T) == 0) & kept[:, off]
            found[off] = (errors <= spare[off] // 2) & (zeros.sum(axis=0) == errors)
            wrong[:, off] = zeros & found[off]
        return wrong, found

    def wrong_shares(self, elements: Elements | Floats, randomness: Randomness) -> frozenset[int]:
        """Return the points whose shares do not lie on the polynomials: all others do, and are more than threshold.

        `elements`: shape (m, columns), one polynomial per column. With m = threshold every vector is a codeword and
        nothing can be seen; the result is then empty. Raises `TooManyErrors`: never up to `correctable` wrong shares,
        and up to m − threshold − 1 only where their errors are of low rank.
        """
        spare = len(self.points) - self.threshold
        if not spare:
            return frozenset()
        syndromes = self._syndromes(_fold(self._field, elements, _COMBINATIONS, randomness))
        if not syndromes.any():
            return frozenset()
        # A few errors are found with little work, in a few columns; more take more, and those of high rank most of all.
        found = self._located(syndromes, FEW_ERRORS, randomness)
        if not found and self.correctable + _COMBINATIONS // 2 > FEW_ERRORS:
            found = self._located(syndromes, spare, randomness)
        if not found and min(spare, elements.shape[1]) > _COMBINATIONS:
            syndromes = self._syndromes(_fold(self._field, elements, min(spare, elements.shape[1]), randomness))
            found = self._located(syndromes, spare, randomness)
        if found:
            return found
        raise TooManyErrors(
            f"more than {self.correctable} of {len(self.points)} shares are wrong, and not independently so"
        )

    def _located(self, syndromes: Elements, most: int, randomness: Randomness) -> frozenset[int]:
        """Return the points of up to so many errors; none where there are more, or too many."""
        found = self._x[_common_zeros(self._field, self._x, syndromes, most, randomness)]
        return frozenset() if self._off(syndromes, found, randomness) else frozenset(found.tolist())

    def _syndromes(self, words: Elements) -> Elements:
        """Return H · words, which is 0 for codewords: row j of H is vᵢ xᵢʲ, with the weights vᵢ."""
        return self._field.multiply(self._powers.T, words * self._weights[:, None] % self._field.prime)

    def _off(self, syndromes: Elements, left_out: Elements, randomness: Randomness) -> bool:
        """Tell whether the shares at other points than these, at least one more than threshold, lie off polynomials.

        Their syndromes are Σₖ Λₖ s_{j+k}, for the Λ that is zero at the points left out and nowhere else.
        """
        field = self._field
        few = field.multiply(syndromes, field.uniform((syndromes.shape[1], _COMBINATIONS), randomness))
        windows = np.lib.stride_tricks.sliding_window_view(few, left_out.size + 1, axis=0)
        locator = _from_roots(field, left_out)[:, None]
        return bool(field.multiply(windows.reshape(-1, left_out.size + 1), locator).any())


def _fold(field: PrimeField, elements: Elements | Floats, count: int, randomness: Randomness) -> Elements:
    """Return `count` random combinations of the columns, shape (m, count)."""
    folded = np.zeros((elements.shape[0], count), dtype=np.int64)
    for start in range(0, elements.shape[1], _COLUMNS):
        part = elements[:, start : start + _COLUMNS]
        folded += field.multiply(part, field.uniform((part.shape[1], count), randomness))
    return folded % field.prime


def _weights(field: PrimeField, x: Elements) -> Elements:
    differences = (x[:, None] - x[None, :]) % field.prime
    np.fill_diagonal(differences, 1)
    return field.inverse(field.product(differences))


def _powers(field: PrimeField, x: Elements, count: int) -> NDArray[np.generic]:
    if field is not GF65537:
        return field.powers(x, count)
    exponents: Logarithms = logarithms(x)[:, None] * np.arange(count).astype(np.uint16)
    return from_logarithms(exponents)


def _common_zeros(field: PrimeField, x: Elements, syndromes: Elements, most: int, randomness: Randomness) -> Elements:
    """Return the rows of the points at which every polynomial is zero that may be a multiple of the error locator.

    most: an upper bound on its degree, where fewer errors are looked for than there might be.

    Λ(z) = Σ Λₖ zᵏ is zero at all errors only if Σₖ Λₖ s_{j+k} = 0 for every j and every column s of the syndromes; and
    if, with a degree of at most D = ⌊(spare + rank − 1)/2⌋ ≥ errors, then only if (Roth and Vontobel).
    """
    independent = _echelon(field, syndromes.T)[0]
    rank, spare = independent.shape
    degree = min(most, (spare + rank - 1) // 2)
    windows = np.lib.stride_tricks.sliding_window_view(independent, degree + 1, axis=1)  # (rank, spare − D, D + 1)
    equations = windows.reshape(-1, degree + 1)
    if len(equations) > degree + 1 + _SPARE:
        equations = _combined(field, windows, degree + 1 + _SPARE, randomness)
    multiples = _solutions(field, equations, randomness)
    values = field.multiply(_powers(field, x, degree + 1), multiples)
    zeros: Elements = np.flatnonzero(multiples.any() & ~values.any(axis=1))
    return zeros


def _combined(field: PrimeField, windows: Elements, count: int, randomness: Randomness) -> Elements:
    """Return random combinations of the equations of every column and window: Σ_c u_c Σⱼ wʲ (window j of column c)."""
    columns, shifts, width = windows.shape
    base = field.uniform((count, columns), randomness)
    step = field.uniform((count, 1), randomness)
    # The windows of a column overlap: all but the last, by their first entries, are the column up to there.
    whole = field.multiply(base, np.concatenate([windows[:, :, 0], windows[:, -1, 1:]], axis=1))
    powers = field.powers(step[:, 0], shifts)
    total = np.zeros((count, width), dtype=np.int64)
    exact = ((1 << 63) - 1) // (field.prime - 1) ** 2 - 1  # so many products, and what is there, fit 63 bits
    for start in range(0, shifts, exact):
        part = powers[:, start : start + exact]
        seen = whole[:, start : start + part.shape[1] + width - 1]
        shifted = np.lib.stride_tricks.sliding_window_view(seen, width, axis=1)
        total = (total + np.einsum("ksw,ks->kw", shifted, part)) % field.prime
    return total


def _from_roots(field: PrimeField, roots: Elements) -> Elements:
    """Return the coefficients of ∏ (z − root), the constant first."""
    coefficients = np.zeros(roots.size + 1, dtype=np.int64)
    coefficients[0] = 1
    for done, root in enumerate(roots.tolist()):
        times = coefficients[: done + 1] * root % field.prime
        coefficients[1 : done + 2] = coefficients[: done + 1]
        coefficients[0] = 0
        coefficients[: done + 1] -= times
    return coefficients % field.prime


def _echelon(field: PrimeField, matrix: Elements) -> tuple[Elements, list[int]]:
    """Return the independent rows in row echelon form, with 1 as pivots, and the pivots' columns (Crout's order)."""
    height, width, p = *matrix.shape, field.prime
    pivots = list[int]()
    unused = np.ones(height, dtype=np.bool_)
    rows = np.zeros((min(height, width), width))
    factors = np.zeros((height, len(rows)))  # by which each row was taken off each other
    for column in range(width):
        done = len(pivots)
        if done == height:
            break
        exact = done * (p - 1) ** 2 < 1 << 53
        multiply = np.matmul if exact else field.multiply
        taken_off = multiply(factors[:, :done], rows[:done, column : column + 1])[:, 0].astype(np.int64)
        left = (matrix[:, column] - taken_off) % p * unused
        candidates = np.flatnonzero(left)
        if not candidates.size:
            continue
        row = candidates[0]
        taken_off = multiply(factors[row : row + 1, :done], rows[:done])[0].astype(np.int64)
        rows[done] = (matrix[row] - taken_off) % p * pow(int(left[row]), -1, p) % p
        factors[:, done], unused[row] = left, False
        pivots.append(column)
    return rows[: len(pivots)].astype(np.int64), pivots


def _solutions(field: PrimeField, equations: Elements, randomness: Randomness) -> Elements:
    """Return random solutions of the homogeneous equations, a column each; only zeros where there is no other."""
    rows, pivots = _echelon(field, equations)
    solutions = np.zeros((equations.shape[1], _COMBINATIONS), dtype=np.int64)
    free = np.setdiff1d(np.arange(equations.shape[1]), pivots)
    solutions[free] = field.uniform((free.size, _COMBINATIONS), randomness)
    for row, column in zip(reversed(rows), reversed(pivots), strict=True):
        known = field.multiply(row[None, column + 1 :], solutions[column + 1 :])[0]
        solutions[column] = -known % field.prime
    return solutions


def _shortest_recurrences(field: PrimeField, sequences: Elements, sizes: Elements) -> tuple[Elements, Elements]:
    """Return for each row s the shortest C with C₀ ≠ 0 and Σ Cᵢ s_{n−i} = 0, and its length (Massey 1969).

    All rows at once, of each the first `sizes` entries. C has a column for each coefficient up to half of the longest
    row's length; longer ones are cut off. Nothing is divided: C is known up to a factor.
    """
    count = len(sequences)
    size = int(sizes.max())
    width = size // 2 + 1
    p = field.prime
    current = np.zeros((count, width), dtype=np.int64)
    current[:, 0] = 1
    # What C was before it last grew, times a power of z: multiplied by z as the window on it moves left.
    before = np.zeros((count, size + width), dtype=np.int64)
    before[:, size] = 1
    scale = np.ones(count, dtype=np.int64)
    lengths = np.zeros(count, dtype=np.int64)
    for n in range(size):
        terms = min(n + 1, width, int(lengths.max()) + 1)
        start = size - 1 - n
        products = current[:, :terms] * sequences[:, n + 1 - terms : n + 1][:, ::-1]
        discrepancies = (products % p if p.bit_length() > 26 else products).sum(axis=1) % p * (n < sizes)
        off = np.flatnonzero(discrepancies)
        if not off.size:
            continue
        grows = off[2 * lengths[off] <= n]
        old = current[grows]
        upto = min(width, int(np.maximum(lengths[off], n + 1 - lengths[off]).max()) + 1)
        # b · C − d · zᵏ B, with b the discrepancy when C last grew; two products below p² fit 63 bits.
        changed = current[:, :upto] * np.where(discrepancies, scale, 1)[:, None]
        changed += before[:, start : start + upto] * ((p - discrepancies) % p)[:, None]
        changed -= changed // p * p  # as a remainder, but only quotients use vector instructions
        current[:, :upto] = changed
        before[grows, start : start + width] = old
        scale[grows] = discrepancies[grows]
        lengths[grows] = n + 1 - lengths[grows]
    return current, lengths
