"""Shamir's secret sharing (CACM 1979) over GF(65537), for many secrets at once.

A secret of 32 bytes is 16 limbs of 16 bits, each the constant term of its own polynomial of degree t − 1.
Participant i's share is the polynomials' values at the point i. All limbs of all secrets are one matrix.
A share of one secret travels as 34 bytes: the low 16 bits of 16 elements (little-endian), then their 17th bits.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from .errors import ProtocolViolation
from .field import PRIME, Elements, inverse, multiply, powers, product, uniform
from .randomness import Randomness

SECRET_BYTES = 32
LIMBS = SECRET_BYTES // 2
SHARE_BYTES = 2 * LIMBS + LIMBS // 8


@lru_cache(maxsize=4)
def _vandermonde(points: tuple[int, ...], threshold: int) -> NDArray[np.float64]:
    table = powers(np.asarray(points, dtype=np.int64), threshold).astype(np.float64)
    table.flags.writeable = False
    return table


def deal(secrets: Sequence[bytes], holders: Sequence[int], threshold: int, randomness: Randomness) -> NDArray[np.uint8]:
    """Share each 32-byte secret so that any t of the holders (distinct ids, never 0) can put it together.

    Returns encoded shares, shape (holders, secrets, SHARE_BYTES), in the order of `holders`.
    """
    limbs = np.frombuffer(b"".join(secrets), dtype="<u2").astype(np.int64)
    coefficients = np.concatenate([limbs[None, :], uniform((threshold - 1, limbs.size), randomness)])
    values = multiply(_vandermonde(tuple(holders), threshold), coefficients)
    return encode(values.reshape(len(holders), len(secrets), LIMBS))


def encode(elements: Elements) -> NDArray[np.uint8]:
    """Encode elements (…, LIMBS) as shares (…, SHARE_BYTES)."""
    low = np.ascontiguousarray(elements & 0xFFFF).astype("<u2").view(np.uint8)
    high = np.packbits((elements >> 16).astype(np.uint8), axis=-1)
    return np.concatenate([low, high], axis=-1)


def decode(shares: NDArray[np.uint8]) -> Elements:
    """Decode shares (…, SHARE_BYTES) to elements (…, LIMBS). Raises `ProtocolViolation` on a value above 65536."""
    elements = np.ascontiguousarray(shares[..., : 2 * LIMBS]).view("<u2").astype(np.int64)
    # The 17th bit is set for one value only, 65536, so it is rare: look at the shares that carry one.
    carrying = np.nonzero(np.bitwise_or.reduce(shares[..., 2 * LIMBS :], axis=-1))
    if carrying[0].size:
        high = np.unpackbits(np.ascontiguousarray(shares[carrying][:, 2 * LIMBS :]), axis=-1)
        rows = elements[carrying]
        if np.any((high == 1) & (rows != 0)):
            raise ProtocolViolation("a share holds a value that is no element of GF(65537)")
        elements[carrying] = rows | (high.astype(np.int64) << 16)
    return elements


def lagrange(points: Sequence[int], at: int = 0) -> Elements:
    """Return the coefficients that turn values at distinct `points` into the value at `at`, another point."""
    x = np.asarray(points, dtype=np.int64)
    differences = (x[None, :] - x[:, None]) % PRIME
    np.fill_diagonal(differences, 1)
    others = np.broadcast_to((x - at) % PRIME, differences.shape).copy()
    np.fill_diagonal(others, 1)
    return product(others) * inverse(product(differences)) % PRIME


def reconstruct(points: Sequence[int], elements: Elements) -> list[bytes | None]:
    """Interpolate secrets at 0.

    `points`: t distinct ids. `elements`: shape (t, secrets, LIMBS). Returns one 32-byte secret per column block,
    or None where a limb exceeds 16 bits (the shares are then certainly wrong).
    """
    secrets = elements.shape[1]
    limbs = multiply(lagrange(points)[None, :], elements.reshape(len(points), -1))
    limbs = limbs.reshape(secrets, LIMBS)
    encoded = limbs.astype("<u2")
    valid = limbs.max(axis=1) <= 0xFFFF
    return [encoded[i].tobytes() if valid[i] else None for i in range(secrets)]
