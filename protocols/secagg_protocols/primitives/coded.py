"""Packed Shamir sharing (Franklin and Yung, STOC'92; the Lagrange code of Yu et al., AISTATS'19).

One polynomial of degree t − 1 carries k secrets and t − k uniform values: any t shares give them all back, any t − k
shares say nothing about any of them. Shares are k times smaller than Shamir's (k = 1), and they are as linear: sums of
shares are shares of the sums. Whole matrices of secrets are shared at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from ..errors import ParameterError
from .field import Elements, PrimeField

_TABLE_ELEMENTS = 1 << 22
"""The largest code that is held as a matrix; of a larger one, blocks of rows are made when they are needed."""

_BLOCK = 1 << 20
"""Elements of such a block."""


@dataclass(frozen=True, slots=True)
class CodedSharing:
    """How secrets are shared among holders 1 … `holders`: `threshold` t of them reconstruct, `pieces` k per polynomial.

    The holders' points are their ids; holders + 1, …, holders + t stand for the secrets and the uniform values.
    """

    holders: int
    threshold: int
    pieces: int
    field: PrimeField

    def __post_init__(self) -> None:
        if self.holders + self.threshold >= self.field.prime:
            raise ParameterError(
                f"{self.holders} participants with threshold={self.threshold} need more than the "
                f"{self.field.prime - 1} points of the field: lower either"
            )

    @property
    def privacy(self) -> int:
        """t − k: any so many shares are independent of the secrets."""
        return self.threshold - self.pieces

    @property
    def secret_points(self) -> Elements:
        """The points that stand for the k secrets."""
        return _secret_points(self.holders, self.threshold)[: self.pieces]

    def deal(self, secrets: Elements, noise: Elements, holders: Sequence[int]) -> Elements:
        """Return the shares of `holders`, one row each.

        secrets: shape (k, columns). noise: (t − k, columns), uniform and used once.
        """
        rows = np.asarray(holders) - 1
        values = np.concatenate([secrets, noise])
        if self.holders * self.threshold <= _TABLE_ELEMENTS:
            matrix = encoding_matrix(self.field, self.holders, self.threshold)
            return self.field.multiply(matrix[rows], values)
        by_row, inverses, by_column = _code(self.field, self.holders, self.threshold)
        values = values * by_column[:, None] % self.field.prime
        shares = np.empty((rows.size, values.shape[1]), dtype=np.int64)
        step = max(1, _BLOCK // self.threshold)
        for start in range(0, rows.size, step):
            block = rows[start : start + step]
            products = self.field.multiply(inverses[block], values)
            shares[start : start + step] = products * by_row[block, None] % self.field.prime
        return shares

    def reconstruct(self, holders: Sequence[int], shares: Elements) -> Elements:
        """Return the secrets, shape (k, columns), from the shares of t distinct holders, shape (t, columns)."""
        nodes = np.asarray(holders, dtype=np.int64)
        return self.field.multiply(lagrange_basis(self.field, nodes, self.secret_points), shares)

    def share_of(self, holder: int, holders: Sequence[int], shares: Elements) -> Elements:
        """Return the share that fits those of t other holders, shape (columns,)."""
        basis = lagrange_basis(self.field, np.asarray(holders, dtype=np.int64), np.array([holder]))
        share: Elements = self.field.multiply(basis, shares)[0]
        return share


@lru_cache(maxsize=2)
def _code(field: PrimeField, holders: int, threshold: int) -> tuple[Elements, Elements, Elements]:
    """Return a, C and b with `encoding_matrix` = diag(a) · C · diag(b), in memory that grows with n + t.

    The Lagrange basis over xᵢ = n + 1 + i is at j: ∏ₖ (j − xₖ) · 1 / (j − xᵢ) · 1 / ∏_{k ≠ i} (xᵢ − xₖ). All points
    follow one another: the products are factorials, and row j of C are the inverses of n + 1 − j, n + 2 − j, …, a
    window (read-only, shape (n, t)) over those of 1 … n + t − 1. The signs are in b.
    """
    n = holders
    t = threshold
    p = field.prime
    products = accumulate(range(1, n + t), lambda product, k: product * k % p, initial=1)
    factorials = np.fromiter(products, np.int64, n + t)
    inverted = field.inverse(factorials)
    by_row = factorials[t:][::-1] * inverted[:n][::-1] % p
    by_column = inverted[:t] * inverted[:t][::-1] % p
    by_column[1::2] = (p - by_column[1::2]) % p
    inverses = np.lib.stride_tricks.sliding_window_view(field.inverse(np.arange(1, n + t, dtype=np.int64)), t)[::-1]
    return by_row, inverses, by_column


@lru_cache(maxsize=4)
def encoding_matrix(field: PrimeField, holders: int, threshold: int) -> NDArray[np.float64]:
    """Return the code, shape (holders, t): row j − 1 are the values at j of the Lagrange basis over the other points.

    Any t rows are invertible (the code is MDS). So is any square submatrix of the columns of the uniform values, since
    it is a Cauchy matrix with its rows and columns scaled: any t − k shares are hidden by t − k uniform values.
    """
    points = np.arange(1, holders + 1, dtype=np.int64)
    matrix = lagrange_basis(field, _secret_points(holders, threshold), points).astype(np.float64)
    matrix.flags.writeable = False
    return matrix


def _secret_points(holders: int, threshold: int) -> Elements:
    return np.arange(holders + 1, holders + threshold + 1, dtype=np.int64)


def lagrange_basis(field: PrimeField, nodes: Elements, points: Elements) -> Elements:
    """Return the Lagrange basis over distinct `nodes`, at `points` that are none of them: shape (points, nodes)."""
    p = field.prime
    differences = (nodes[:, None] - nodes[None, :]) % p
    np.fill_diagonal(differences, 1)
    weights = field.inverse(field.product(differences))
    distances = (points[:, None] - nodes[None, :]) % p
    return field.product(distances)[:, None] * field.inverse(distances) % p * weights % p
