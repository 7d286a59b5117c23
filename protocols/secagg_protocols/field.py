"""The prime field GF(65537), with whole matrices at a time.

65537 holds a 16-bit limb in one element, and products of matrices are exact in float64: an inner product of
k terms is at most k · 65536², below 2⁵³ for every k ≤ 2²⁰, so the work is done by BLAS.
Arrays of elements are int64 or float64 with values in [0, 65536].
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from .randomness import Randomness

PRIME = 65537
MAX_TERMS = 1 << 20

Elements: TypeAlias = NDArray[np.int64]


def multiply(left: NDArray[np.generic], right: NDArray[np.generic]) -> Elements:
    """Return the matrix product over the field, exactly."""
    assert left.shape[-1] <= MAX_TERMS
    product = left.astype(np.float64, copy=False) @ right.astype(np.float64, copy=False)
    reduced: Elements = product.astype(np.int64) % PRIME
    return reduced


def inverse(elements: Elements) -> Elements:
    """Return the inverses of nonzero elements, by Fermat: x^(p−2) = x^65535."""
    result, power = np.ones_like(elements), elements % PRIME
    for _ in range(16):  # 65535 is sixteen ones in binary
        result = result * power % PRIME
        power = power * power % PRIME
    return result


def uniform(shape: tuple[int, ...], randomness: Randomness) -> Elements:
    """Return exactly uniform elements.

    2³² − 1 = 65535 · 65537, so a uniform 32-bit word reduces without bias once the one word 2³² − 1 is rejected.
    """
    count = int(np.prod(shape))
    words = np.frombuffer(randomness.bytes(4 * count), dtype="<u4").copy()
    while (rejected := np.flatnonzero(words == 0xFFFFFFFF)).size:
        words[rejected] = np.frombuffer(randomness.bytes(4 * rejected.size), dtype="<u4")
    return (words % PRIME).astype(np.int64).reshape(shape)


def powers(points: Elements, count: int) -> Elements:
    """Return the matrix whose row i is 1, xᵢ, xᵢ², … (`count` columns), by doubling."""
    table = np.ones((points.size, count), dtype=np.int64)
    if count > 1:
        table[:, 1] = points % PRIME
    done = 2
    while done < count:
        width = min(done, count - done)
        step = table[:, done - 1] * table[:, 1] % PRIME  # x^done
        table[:, done : done + width] = table[:, :width] * step[:, None] % PRIME
        done += width
    return table


def product(rows: Elements) -> Elements:
    """Return the product of each row, by halving."""
    while rows.shape[1] > 1:
        half = rows.shape[1] // 2
        paired = rows[:, :half] * rows[:, half : 2 * half] % PRIME
        rows = paired if rows.shape[1] % 2 == 0 else np.concatenate([paired, rows[:, -1:]], axis=1)
    result: Elements = rows[:, 0]
    return result
