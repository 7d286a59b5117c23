"""How values ride in the coefficients of a ring: whole, side by side above the noise.

A value is never cut into pieces that are summed apart: their sums would tell the server more than the sum of the values
(who carried where). What does not fit a coefficient of the smaller ring takes the larger one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod

from secagg_protocols.core.step import Step
from secagg_protocols.packing.blocks import checked_output
from secagg_protocols.packing.lanes import Lanes, Words
from secagg_protocols.packing.sums import Domain, Output

from ..ring import ring_prime
from .noise import DEGREE, MAX_LOG_Q, MIN_LOG_Q

_WORD_BITS = 64
"""A packed sum is one word."""

_WHOLE_BITS = 32


@dataclass(frozen=True, slots=True)
class Plaintext:
    """domain: of the values. lanes: their sums in coefficients. degree: N.

    primes: q is their product, above Δ · (largest packed sum + 1). One for N = 2048, two for N = 4096.
    """

    domain: Domain
    lanes: Lanes
    degree: int
    primes: tuple[int, ...]

    @classmethod
    def of(cls, domain: Domain, shift: int) -> Plaintext | None:
        """Choose the packing with the fewest bits above `shift` bits of noise; None when there is none.

        The larger ring has the longer keys: it is taken only for what does not fit the smaller one. Among equals the
        fewest lanes, which leave the most room for garbage to be seen.
        """
        for degree in MAX_LOG_Q:
            if choices := list(cls._in(degree, domain, shift)):
                return min(choices, key=lambda choice: choice.bits)
        return None

    @classmethod
    def _in(cls, degree: int, domain: Domain, shift: int) -> Iterator[Plaintext]:
        for per_word in range(1, _WORD_BITS // domain.sum_bits + 1):
            primes = _primes(degree, domain, per_word, shift)
            if primes is not None:
                yield cls(domain, Lanes(domain.length, domain.sum_bits, per_word, 8), degree, primes)

    @property
    def modulus(self) -> int:
        """q."""
        return prod(self.primes)

    @property
    def polynomials(self) -> int:
        """Ring elements that hold a vector."""
        return -(-self.lanes.words // self.degree)

    @property
    def bits(self) -> int:
        """Bits of a ciphertext on the wire."""
        return self.polynomials * self.degree * sum(prime.bit_length() for prime in self.primes)

    def output(self, words: Words, survivors: tuple[int, ...], step: Step) -> Output:
        """Return packed sums as a result. Raises `RoundFailed` unless so many valid vectors can have such a sum."""
        return checked_output(self.domain, self.lanes, words, survivors, step)


def _primes(degree: int, domain: Domain, per_word: int, shift: int) -> tuple[int, ...] | None:
    """Return q's primes for so many sums in one coefficient; None when no q is secure and sums up in 64 bits."""
    largest = domain.participants * ((1 << domain.value_bits) - 1)
    packed = sum(largest << lane * domain.sum_bits for lane in range(per_word))
    needed = (packed + 1) << shift
    for bits in range(max(MIN_LOG_Q, needed.bit_length()), MAX_LOG_Q[degree] + 1):
        if degree == DEGREE:
            primes: tuple[int, ...] = (ring_prime(degree, bits),)
        else:  # whole bytes travel fastest; of different lengths they are two different primes
            first = _WHOLE_BITS if bits != 2 * _WHOLE_BITS else _WHOLE_BITS + 1
            primes = (ring_prime(degree, first), ring_prime(degree, bits - first))
        if prod(primes) >= needed:
            return primes if domain.participants * max(primes) < 1 << _WORD_BITS else None
    return None
