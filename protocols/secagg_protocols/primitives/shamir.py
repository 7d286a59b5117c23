"""Shamir's secret sharing (CACM 1979) over GF(65537), for many secrets at once.

A secret of 32 bytes is 16 limbs of 16 bits, each the constant term of its own polynomial of degree t − 1.
Participant i's share is the polynomials' values at the point i. All limbs of all secrets are one matrix.
A share of one secret travels as 34 bytes: the low 16 bits of 16 elements (little-endian), then their 17th bits.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ProtocolViolation
from .field import PRIME, Elements, Floats, Logarithms, from_logarithms, logarithms, multiply, uniform
from .randomness import Randomness

SECRET_BYTES = 32
LIMBS = SECRET_BYTES // 2
SHARE_BYTES = 2 * LIMBS + LIMBS // 8


_ELEMENTS = 1 << 23
"""Most elements in memory at once, 64 MiB. A table of powers that would be larger is not faster than transforms."""

_SIDE = 256
"""The transform's length, p − 1 = 65536, is 256 · 256."""


@lru_cache(maxsize=2)
def _vandermonde(points: tuple[int, ...], threshold: int) -> Floats:
    logs = logarithms(np.asarray(points, dtype=np.int64))
    degrees = np.arange(threshold, dtype=np.uint16)
    exponents: Logarithms = logs[:, None] * degrees
    table = from_logarithms(exponents)
    table.flags.writeable = False
    return table


def deal(secrets: Sequence[bytes], holders: Sequence[int], threshold: int, randomness: Randomness) -> NDArray[np.uint8]:
    """Share each 32-byte secret so that any t of the holders (distinct ids, never 0) can put it together.

    Returns encoded shares, shape (holders, secrets, SHARE_BYTES), in the order of `holders`.
    """
    evaluated = len(holders) if _fits_a_table(holders, threshold) else PRIME - 1
    together = max(1, _ELEMENTS // (evaluated * LIMBS))
    shares = np.empty((len(holders), len(secrets), SHARE_BYTES), dtype=np.uint8)
    for start in range(0, len(secrets), together):
        part = slice(start, start + together)
        values = _values(secrets[part], holders, threshold, randomness)
        shares[:, part] = encode(values.reshape(len(holders), -1, LIMBS))
    return shares


def _fits_a_table(holders: Sequence[int], threshold: int) -> bool:
    return len(holders) * threshold <= _ELEMENTS


def _values(secrets: Sequence[bytes], holders: Sequence[int], threshold: int, randomness: Randomness) -> Elements:
    """Return uniform polynomials through the secrets' limbs, at the holders' points: shape (holders, limbs)."""
    limbs = np.frombuffer(b"".join(secrets), dtype="<u2").astype(np.int64)
    coefficients = np.concatenate([limbs[None, :], uniform((threshold - 1, limbs.size), randomness)])
    if _fits_a_table(holders, threshold):
        return multiply(_vandermonde(tuple(holders), threshold), coefficients)
    return _everywhere(coefficients)[logarithms(np.asarray(holders, dtype=np.int64))]


def _everywhere(coefficients: Elements) -> Elements:
    """Evaluate polynomials at every point but 0: row e of the result, (p − 1, columns), are their values at 3ᵉ.

    A discrete Fourier transform over the field, in Cooley and Tukey's two steps. With e = a + 256 b and the degree
    256 c + d, the power 3^(e · degree) is 3^(256 a c) · 3^(a d) · 3^(256 b d), as 3^65536 = 1.
    """
    degrees, columns = coefficients.shape
    runs = -(-degrees // _SIDE)
    padded = np.zeros((runs * _SIDE, columns), dtype=np.int64)
    padded[:degrees] = coefficients
    root, between = _transforms()
    inner = multiply(root[:, :runs], padded.reshape(runs, -1)).reshape(_SIDE, _SIDE, columns)  # [a, d]
    inner *= between[:, :, None]
    inner %= PRIME
    outer = multiply(root, inner.transpose(1, 0, 2).reshape(_SIDE, -1))  # [b, a]
    return outer.reshape(-1, columns)


@cache
def _transforms() -> tuple[Floats, Elements]:
    """Return 3^(256 i j) and 3^(i j), for i, j < 256."""
    numbers = np.arange(_SIDE, dtype=np.uint16)
    products: Logarithms = numbers[:, None] * numbers
    return from_logarithms(products * np.uint16(_SIDE)), from_logarithms(products).astype(np.int64)


def encode(elements: Elements) -> NDArray[np.uint8]:
    """Encode elements (…, LIMBS) as shares (…, SHARE_BYTES)."""
    low = np.ascontiguousarray(elements & 0xFFFF).astype("<u2").view(np.uint8)
    high = np.packbits((elements >> 16).astype(np.uint8), axis=-1)
    return np.concatenate([low, high], axis=-1)


def decode(shares: NDArray[np.uint8]) -> Elements:
    """Decode shares (…, SHARE_BYTES) to elements (…, LIMBS). Raises `ProtocolViolation` on a value above 65536."""
    return decode_as(np.dtype(np.int64), shares)


def decode_as(dtype: np.dtype[Any], shares: NDArray[np.uint8]) -> NDArray[Any]:
    """As `decode`; float64 is what products of matrices take as it is."""
    elements = np.ascontiguousarray(shares[..., : 2 * LIMBS]).view("<u2").astype(dtype)
    # The 17th bit is set for one value only, 65536, so it is rare: look at the shares that carry one.
    carrying = np.nonzero(np.bitwise_or.reduce(shares[..., 2 * LIMBS :], axis=-1))
    if carrying[0].size:
        high = np.unpackbits(np.ascontiguousarray(shares[carrying][:, 2 * LIMBS :]), axis=-1)
        rows = elements[carrying]
        if np.any((high == 1) & (rows != 0)):
            raise ProtocolViolation("a share holds a value that is no element of GF(65537)")
        elements[carrying] = rows + high.astype(np.int64) * (1 << 16)
    return elements


def check(shares: bytes | memoryview) -> None:
    """Raise `ProtocolViolation` unless encoded shares, one after another, hold values up to 65536 only."""
    seventeenth_bits = (shares[2 * LIMBS + byte :: SHARE_BYTES] for byte in range(LIMBS // 8))
    if any(map(any, seventeenth_bits)):  # rare: without one there is nothing to see
        decode(np.frombuffer(shares, dtype=np.uint8).reshape(-1, SHARE_BYTES))


def _weights(x: Elements) -> Logarithms:
    """Return 1 / ∏_{k ≠ i} (xᵢ − xₖ) for points (…, m), as logarithms."""
    weights: Logarithms = -logarithms(x[..., :, None] - x[..., None, :]).sum(axis=-1, dtype=np.uint16)
    return weights


def _lagrange(x: Elements, at: int, weights: Logarithms) -> Logarithms:
    """Return the coefficients of the value at `at`, ∏_{k ≠ i} (at − xₖ) / (xᵢ − xₖ), as logarithms."""
    distances = logarithms(at - x)
    coefficients: Logarithms = weights + distances.sum(axis=-1, keepdims=True, dtype=np.uint16) - distances
    return coefficients


def reconstruct(points: Sequence[int], elements: Elements) -> list[bytes | None]:
    """Interpolate secrets at 0.

    `points`: t distinct ids. `elements`: shape (t, secrets, LIMBS). Returns one 32-byte secret per column block,
    or None where a limb exceeds 16 bits (the shares are then certainly wrong).
    """
    x = np.asarray(points, dtype=np.int64)
    coefficients = from_logarithms(_lagrange(x, 0, _weights(x)))
    return secrets_of(multiply(coefficients[None, :], elements.reshape(len(points), -1)).reshape(-1, LIMBS))


def reconstruct_each(points: Elements, elements: Elements, threshold: int) -> list[bytes | None]:
    """Interpolate at 0 the secrets of dealers that have their own holders each.

    `points`: shape (dealers, m), distinct ids in each row, m ≥ threshold. `elements`: shape (dealers, m, LIMBS).
    Returns a 32-byte secret per dealer, or None where a limb exceeds 16 bits or where not all m shares lie on
    polynomials of a degree below the threshold (with m = threshold they always do).
    """
    weights = _weights(points)
    # Shares lie on such polynomials exactly when their syndromes are 0: the sums with vᵢ xᵢʲ for j < m − t, where the
    # vᵢ are the weights (see `reed_solomon`). One product gives the secrets, in row 0, and all syndromes.
    degrees = np.arange(points.shape[1] - threshold, dtype=np.uint16)
    checks = weights[:, None, :] + degrees[:, None] * logarithms(points)[:, None, :]
    rows = np.concatenate([_lagrange(points, 0, weights)[:, None, :], checks], axis=1)
    values = multiply(from_logarithms(rows), elements)
    limbs = values[:, 0]
    syndromes = values[:, 1:]
    return secrets_of(limbs, np.asarray(syndromes.any(axis=(1, 2))))


def secrets_of(limbs: Elements, wrong: NDArray[np.bool_] | None = None) -> list[bytes | None]:
    """Return each row of LIMBS limbs as a 32-byte secret; None where it is wrong, or a limb exceeds 16 bits."""
    valid: NDArray[np.bool_] = limbs.max(axis=1) <= 0xFFFF
    if wrong is not None:
        valid &= ~wrong
    encoded = limbs.astype("<u2").tobytes()
    starts = range(0, len(encoded), SECRET_BYTES)
    return [encoded[i : i + SECRET_BYTES] if good else None for i, good in zip(starts, valid.tolist(), strict=True)]
