"""Prime fields, with whole matrices at a time; products of matrices are exact and done by BLAS.

float64 holds integers up to 2⁵³ exactly, so an inner product is cut into runs of as many terms as cannot pass 2⁵³
(`terms`), and what each run gives is reduced before it is added to the others. Beyond 26 bits one operand is also
split into 16-bit halves. GF(65537) holds a 16-bit limb in one element and never needs more than one run.
Arrays of elements are int64 or float64 with values in [0, p).
"""

from __future__ import annotations

from functools import cache
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..errors import ProtocolViolation
from .randomness import Randomness

Elements: TypeAlias = NDArray[np.int64]
Logarithms: TypeAlias = NDArray[np.uint16]
Floats: TypeAlias = NDArray[np.float64]

_EXACT = (1 << 53) - 1
_HALF_BITS = 16
_IN_CACHE = 1 << 18
"""Multiplications at a time: the block stays in cache, and BLAS on one thread (handing work over costs it more)."""

_LARGE = 1 << 17
_TOGETHER = 64
"""A left matrix of so many entries does not stay in cache anyway: then so many columns at a time, on all threads."""

_MANY_RUNS = 64

_RUN = 1 << 14
"""Integers at a time, so that they stay in cache."""


class PrimeField:
    """GF(p) for a prime 2¹⁶ < p < 2³¹."""

    def __init__(self, prime: int) -> None:
        self.prime = prime
        self.element_bytes = -(-prime.bit_length() // 8)
        """Bytes of one element on the wire."""
        self._always_halves = prime.bit_length() > 26
        self._terms_of_halves = _EXACT // ((prime - 1) * ((1 << _HALF_BITS) - 1))
        self.terms = self._terms_of_halves if self._always_halves else _EXACT // (prime - 1) ** 2
        """Most terms of an inner product that are summed exactly in one run."""
        self._per_prime = (1 - 2.0**-50) / prime  # a little small, so that a quotient is never too large

    def __repr__(self) -> str:
        return f"PrimeField({self.prime})"

    # --- products

    def multiply(self, left: NDArray[np.generic], right: NDArray[np.generic]) -> Elements:
        """Return the matrix product, exactly; of stacks of matrices where one run is enough."""
        first = left.astype(np.float64, copy=False)
        if first.ndim > 2:
            return self._columns(first, right).astype(np.int64)
        product = np.empty((first.shape[0], right.shape[1]), dtype=np.int64)
        size = max(1, first.shape[0] * min(first.shape[1], self.terms))
        width = max(8, _IN_CACHE // size) if size < _LARGE else _TOGETHER
        for start in range(0, right.shape[1], width):
            columns = slice(start, start + width)
            product[:, columns] = self._columns(first, right[:, columns])
        return product

    def _columns(self, left: Floats, right: NDArray[np.generic]) -> Floats:
        # Halves take two products, and longer runs: for long inner products that is less.
        if not (self._always_halves or left.shape[-1] > _MANY_RUNS * self.terms):
            return self._runs(left, right.astype(np.float64, copy=False), self.terms)
        whole = right.astype(np.int64, copy=False)
        high = self._runs(left, (whole >> _HALF_BITS).astype(np.float64), self._terms_of_halves)
        high *= 1 << _HALF_BITS
        high += self._runs(left, (whole & ((1 << _HALF_BITS) - 1)).astype(np.float64), self._terms_of_halves)
        return self._canonical(high)

    def _runs(self, left: Floats, right: Floats, terms: int) -> Floats:
        product: Floats = left[..., :terms] @ right[..., :terms, :]
        if left.shape[-1] > terms:
            self._reduced(product)
            for start in range(terms, left.shape[-1], terms):
                product += self._reduced(left[..., start : start + terms] @ right[..., start : start + terms, :])
        return self._canonical(product)

    def _reduced(self, values: Floats) -> Floats:
        """Return integers in [0, 2⁵³) modulo p, below 2p, in place: every step is exact in float64."""
        quotients = values * self._per_prime
        np.floor(quotients, out=quotients)
        quotients *= self.prime
        values -= quotients
        return values

    def _canonical(self, values: Floats) -> Floats:
        reduced = self._reduced(values)
        reduced -= self.prime * (reduced >= self.prime)
        return reduced

    # --- element by element

    def inverse(self, elements: Elements) -> Elements:
        """Return the inverses of nonzero elements, by Fermat: x^(p−2)."""
        result = np.ones_like(elements)
        power = elements % self.prime
        exponent = self.prime - 2
        while exponent:
            if exponent & 1:
                result = result * power % self.prime
            power = power * power % self.prime
            exponent >>= 1
        return result

    def powers(self, points: Elements, count: int) -> Elements:
        """Return the matrix whose row i is 1, xᵢ, xᵢ², … (`count` columns), by doubling."""
        table = np.ones((points.size, count), dtype=np.int64)
        if count > 1:
            table[:, 1] = points % self.prime
        done = 2
        while done < count:
            width = min(done, count - done)
            step = table[:, done - 1] * table[:, 1] % self.prime  # x^done
            table[:, done : done + width] = table[:, :width] * step[:, None] % self.prime
            done += width
        return table

    def product(self, rows: Elements) -> Elements:
        """Return the product of each row, by halving."""
        while rows.shape[1] > 1:
            half = rows.shape[1] // 2
            paired = rows[:, :half] * rows[:, half : 2 * half] % self.prime
            rows = paired if rows.shape[1] % 2 == 0 else np.concatenate([paired, rows[:, -1:]], axis=1)
        result: Elements = rows[:, 0]
        return result

    def uniform(self, shape: tuple[int, ...], randomness: Randomness) -> Elements:
        """Return exactly uniform elements.

        A uniform 32-bit word reduces without bias once the words above the largest multiple of p are rejected
        (2³² − 1 = 65535 · 65537: for that prime it is one word).
        """
        count = int(np.prod(shape))
        first_rejected = (1 << 32) // self.prime * self.prime
        words = np.frombuffer(randomness.bytes(4 * count), dtype="<u4").copy()
        while (rejected := np.flatnonzero(words >= first_rejected)).size:
            words[rejected] = np.frombuffer(randomness.bytes(4 * rejected.size), dtype="<u4")
        return (words % np.uint32(self.prime)).astype(np.int64).reshape(shape)

    # --- the wire

    def to_bytes(self, elements: NDArray[np.integer]) -> memoryview:
        """Encode elements at `element_bytes` each, little-endian."""
        count = elements.size
        width = self.element_bytes
        buffer = bytearray(count * width + 4)
        # Overlapping 4-byte stores in ascending order: each element's surplus byte is overwritten by the next one.
        np.ndarray((count,), dtype="<u4", buffer=buffer, strides=(width,))[:] = elements.reshape(-1)
        return memoryview(buffer)[: count * width]

    def from_bytes(self, data: bytes | memoryview) -> Elements:
        """Decode whole elements. Raises `ProtocolViolation` on a value that is no element of the field."""
        width = self.element_bytes
        count = len(data) // width
        padded = data if width == 4 else b"".join((data, bytes(4 - width)))
        elements = np.ndarray((count,), dtype="<u4", buffer=padded, strides=(width,)).astype(np.int64)
        elements &= (1 << 8 * width) - 1
        if count and int(elements.max()) >= self.prime:
            raise ProtocolViolation(f"a value is no element of GF({self.prime})")
        return elements


def remainders(integers: NDArray[Any], modulus: int, out: NDArray[Any]) -> None:
    """As numpy's remainder, in one dimension, but four times as fast: only quotients use vector instructions."""
    for start in range(0, integers.size, _RUN):
        part = integers[start : start + _RUN]
        multiples = part // part.dtype.type(modulus)
        multiples *= part.dtype.type(modulus)
        np.subtract(part, multiples, out=out[start : start + _RUN])


GF65537 = PrimeField(65537)

PRIME = GF65537.prime
MAX_TERMS = GF65537.terms
multiply = GF65537.multiply
uniform = GF65537.uniform


# --- products, quotients and powers in GF(65537) by table
#
# For public numbers only, such as the points of holders: which entry of a table is read shows in the cache.

_GENERATOR = 3


@cache
def _tables() -> tuple[Floats, Logarithms]:
    """Return 3ᵉ for every e, shape (p − 1,), and the e of every element, shape (p,)."""
    elements = GF65537.powers(np.array([_GENERATOR]), PRIME - 1)[0]
    exponents = np.zeros(PRIME, dtype=np.uint16)
    exponents[elements] = np.arange(PRIME - 1)
    return elements.astype(np.float64), exponents


def logarithms(numbers: NDArray[np.int64]) -> Logarithms:
    """Return the discrete logarithms of public numbers in (−p, p), and 0 for 0, so that it drops out of a product.

    There are 2¹⁶ nonzero elements, so the sums of logarithms wrap in 16 bits as they must.
    """
    return _tables()[1].take(numbers)  # an index below 0 counts from the end: p + x


def from_logarithms(exponents: Logarithms) -> Floats:
    """Return the elements with these logarithms, none of them secret."""
    return _tables()[0].take(exponents)
