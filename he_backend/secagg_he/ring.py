"""Arithmetic in R_q = Z_q[X]/(X^N + 1), exactly, on whole batches of polynomials in numpy.

Products use the negacyclic number-theoretic transform (Longa and Naehrig, CANS 2016; the order of its outputs is
Microsoft SEAL's). A product of residues is x·w − rint(x · (w/q)) · q in wrapping int64: the float64 quotient may be off
by a few units, so what it gives is right modulo q and only a few q large (`_times`); `_reduced` brings it back.

Bounds, for q < 2⁵⁵ and |x| ≤ 16q: the quotient's error is at most 16q · 3 · 2⁻⁵³ + ½ < 193, so |result| < 193q < 2⁶³.
Polynomials are int64, shape (rows, N). They are worked on a few rows at a time, transposed, so that every operation
runs along contiguous memory that stays in cache.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Integers: TypeAlias = NDArray[np.int64]
Floats: TypeAlias = NDArray[np.float64]
Words: TypeAlias = NDArray[np.uint64]

MAX_MODULUS_BITS = 55
_ROWS = 8
"""Polynomials at a time: with N = 2048, 128 KiB."""


class Ring:
    """R_q for N = `degree`, a power of two, and a prime q = `modulus` ≡ 1 mod 2N below 2⁵⁵. Use `ring` to get one."""

    def __init__(self, degree: int, modulus: int) -> None:
        assert degree & (degree - 1) == 0
        assert modulus % (2 * degree) == 1
        assert modulus.bit_length() <= MAX_MODULUS_BITS
        self.degree = degree
        self.modulus = modulus
        root = _primitive_root(degree, modulus)
        self._roots = _Factors.of(_bit_reversed(_powers(root, degree, modulus)), modulus)
        self._inverse_roots = _Factors.of(_bit_reversed(_powers(pow(root, -1, modulus), degree, modulus)), modulus)
        self._inverse_degree = _Factors.of(np.array([pow(degree, -1, modulus)]), modulus)

    def __repr__(self) -> str:
        return f"Ring({self.degree}, {self.modulus})"

    def forward(self, polynomials: Integers) -> Integers:
        """Return the transforms of polynomials with coefficients in (−q, q), in [0, q)."""
        return self._by_rows(self._forward, polynomials)

    def inverse(self, transforms: Integers) -> Integers:
        """Return the polynomials, coefficients in [0, q), whose transforms these are (in [0, q))."""
        return self._by_rows(self._inverse, transforms)

    def times_then_inverse(self, transforms: Integers, factor: Integers) -> Integers:
        """Return the products of polynomials and one more, from their transforms: (rows, N) and (N,), in [0, q)."""
        factors = _Factors.of(factor, self.modulus).column()
        return self._by_rows(lambda rows: self._inverse(_times(rows, factors, self.modulus)), transforms)

    def multiply(self, left: Integers, right: Integers) -> Integers:
        """Return products of residues in [0, q), element by element: of transforms, this multiplies polynomials."""
        return _canonical(_times(left, _Factors.of(right, self.modulus), self.modulus), self.modulus)

    def _by_rows(self, operation: Callable[[Integers], Integers], rows: Integers) -> Integers:
        result = np.empty(rows.shape, dtype=np.int64)
        for start in range(0, rows.shape[0], _ROWS):
            part = np.array(rows[start : start + _ROWS].T, dtype=np.int64, order="C")
            result[start : start + _ROWS] = operation(part).T
        return result

    def _forward(self, x: Integers) -> Integers:
        """Cooley and Tukey's butterflies, shape (N, rows). Sums are not reduced: they grow by less than q per level."""
        n = self.degree
        q = self.modulus
        blocks = 1
        while blocks < n:
            pairs = x.reshape(blocks, 2, n // (2 * blocks), -1)
            low = pairs[:, 0]
            high = pairs[:, 1]
            product = _reduced(_times(high, self._roots.level(blocks), q), q)
            np.subtract(low, product, out=high)
            low += product
            blocks *= 2
        return _canonical(x, q)

    def _inverse(self, x: Integers) -> Integers:
        """Gentleman and Sande's butterflies, shape (N, rows)."""
        n = self.degree
        q = self.modulus
        _reduced(x, q)
        bound = 1  # |x| ≤ bound · q
        blocks = n // 2
        while blocks:
            pairs = x.reshape(blocks, 2, n // (2 * blocks), -1)
            low = pairs[:, 0]
            high = pairs[:, 1]
            difference = low - high
            low += high
            bound *= 2
            high[:] = _reduced(_times(difference, self._inverse_roots.level(blocks), q), q)
            if bound == 8:
                low[:] = _reduced(low.copy(), q)
                bound = 1
            blocks //= 2
        return _canonical(_times(x, self._inverse_degree.column(), q), q)


@lru_cache(maxsize=16)
def ring(degree: int, modulus: int) -> Ring:
    """Return R_q; its tables are made once."""
    return Ring(degree, modulus)


@lru_cache(maxsize=64)
def ring_prime(degree: int, bits: int) -> int:
    """Return the largest prime q ≡ 1 mod 2·`degree` below 2^bits. There must be one."""
    candidate = ((1 << bits) - 2) // (2 * degree) * (2 * degree) + 1
    while not _is_prime(candidate):
        candidate -= 2 * degree
        assert candidate > 1
    return candidate


class _Factors:
    """Constants to multiply by, with their quotients by q."""

    def __init__(self, values: Integers, quotients: Floats) -> None:
        self.values = values
        self.quotients = quotients

    @classmethod
    def of(cls, values: Integers, modulus: int) -> _Factors:
        return cls(values, values / modulus)

    def level(self, blocks: int) -> _Factors:
        """Return the factors of one level of butterflies, shaped to multiply (blocks, half, rows)."""
        shape = (blocks, 1, 1)
        return _Factors(
            self.values[blocks : 2 * blocks].reshape(shape), self.quotients[blocks : 2 * blocks].reshape(shape)
        )

    def column(self) -> _Factors:
        """Return the factors shaped to multiply (N, rows)."""
        return _Factors(self.values[:, None], self.quotients[:, None])


def _times(x: Integers, factors: _Factors, modulus: int) -> Integers:
    """Return x · factors modulo q, not reduced: see the module's bounds."""
    quotient = x * factors.quotients
    np.rint(quotient, out=quotient)
    whole = quotient.astype(np.int64)
    whole *= modulus
    product: Integers = x * factors.values
    product -= whole
    return product


def _reduced(x: Integers, modulus: int) -> Integers:
    """Reduce in place to about [−q/2, q/2]."""
    quotient = x * (1.0 / modulus)
    np.rint(quotient, out=quotient)
    whole = quotient.astype(np.int64)
    whole *= modulus
    x -= whole
    return x


def _canonical(x: Integers, modulus: int) -> Integers:
    """Reduce in place to [0, q)."""
    _reduced(x, modulus)
    x += (x >> 63) & modulus
    x -= modulus * (x >= modulus)
    return x


def canonical(x: Integers, modulus: int) -> Integers:
    """Return integers, |x| < 2⁶³, modulo q in [0, q)."""
    return _canonical(x.copy(), modulus)


def compose(first: Integers, second: Integers, p: int, field: Ring) -> tuple[Words, Words]:
    """Return (high, low) 64-bit halves of x in [0, p·q), by Chinese remaindering.

    first: x modulo p. second: x modulo q, the prime of `field`, in its last axis N long; p is prime to q.
    """
    q = field.modulus  # x = x_p + p · ((x_q − x_p) / p mod q)
    inverse = np.full(first.shape[-1], pow(p, -1, q), dtype=np.int64)
    factor = field.multiply(canonical(second - first, q), inverse).view(np.uint64)
    high, product = times_wide(factor, p)
    low = product + first.view(np.uint64)
    return high + (low < product), low


def times_wide(x: Words, constant: int) -> tuple[Words, Words]:
    """Return (high, low) 64-bit halves of x · constant, both below 2⁶⁴."""
    half = np.uint64(32)
    mask = np.uint64((1 << 32) - 1)
    a = x >> half
    b = x & mask
    c = np.uint64(constant >> 32)
    d = np.uint64(constant & 0xFFFFFFFF)
    middle = a * d + (b * d >> half)  # a, c < 2³²: no sum passes 2⁶⁴
    other = b * c + (middle & mask)
    return a * c + (middle >> half) + (other >> half), x * np.uint64(constant & 0xFFFFFFFFFFFFFFFF)


def centred(residues: Integers, modulus: int) -> Integers:
    """Return residues in [0, q) as integers in (−q/2, q/2]."""
    return residues - modulus * (residues > modulus // 2)


def _powers(base: int, count: int, modulus: int) -> Integers:
    powers = [1]
    for _ in range(count - 1):
        powers.append(powers[-1] * base % modulus)
    return np.array(powers, dtype=np.int64)


def _bit_reversed(values: Integers) -> Integers:
    bits = values.size.bit_length() - 1
    positions = np.zeros(values.size, dtype=np.int64)
    for bit in range(bits):
        positions |= (np.arange(values.size) >> bit & 1) << (bits - 1 - bit)
    return values[positions]


def _primitive_root(degree: int, modulus: int) -> int:
    """Return the smallest primitive 2N-th root of unity: SEAL's choice, so that both transforms agree."""
    generator = 2
    while True:
        root = pow(generator, (modulus - 1) // (2 * degree), modulus)
        if pow(root, degree, modulus) == modulus - 1:
            break
        generator += 1
    square = root * root % modulus
    current = root
    smallest = root
    for _ in range(degree):
        smallest = min(smallest, current)
        current = current * square % modulus
    return smallest


def _is_prime(candidate: int) -> bool:
    """Miller–Rabin with the bases that decide below 2⁶⁴ (Sorenson and Webster 2015)."""
    bases = (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37)
    if candidate < 2 or any(candidate % base == 0 for base in bases):
        return candidate in bases
    odd = candidate - 1
    twos = 0
    while odd % 2 == 0:
        odd = odd // 2
        twos = twos + 1
    for base in bases:
        value = pow(base, odd, candidate)
        if value in (1, candidate - 1):
            continue
        for _ in range(twos - 1):
            value = value * value % candidate
            if value == candidate - 1:
                break
        else:
            return False
    return True
