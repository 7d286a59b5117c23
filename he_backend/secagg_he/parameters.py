"""Parameters of the single-key schemes: derived from what is asked for, from one table of secure moduli.

Everything here is public and exact integer arithmetic, but for the noise's tails, which are rounded up. Symbols and
sources are in single_key/NOTATION.md.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import astuple, dataclass
from functools import cached_property, lru_cache
from itertools import product
from typing import Literal

from secagg_protocols.errors import ParameterError
from secagg_protocols.primitives.domain import Use, digest

from .ring import ring_prime

MAX_MODULUS_BITS = {1024: 26, 2048: 53, 4096: 106, 8192: 212}
"""Ring degree N → largest log₂ q with 128 bits of classical security for a uniform ternary secret and errors of
deviation √10.5, by the estimate of `secagg bench lattice` (2026): one to six bits below the table of 2018."""

SEAL_MODULUS_BITS = {1024: 27, 2048: 54, 4096: 109, 8192: 218}
"""The same by the HomomorphicEncryption.org standard of 2018, table 1, now 126 to 128 bits. SEAL refuses more, with its
special prime, which is in no ciphertext and so in nothing that an attacker sees, counted."""

SEED_BYTES = 64
"""The seed from which SEAL expands the uniform half of a symmetric ciphertext."""

ERROR_VARIANCE = 10.5
"""Of SEAL's errors: the difference of two sums of 21 fair bits. They are subgaussian with this very variance."""

FAILURE_BITS = 40
"""Each bound on noise fails with probability at most 2^−FAILURE_BITS, over all coefficients of a sum together."""

_PRIME_BITS = 54
"""Widest prime of the ciphertext modulus: products of residues stay exact in `ring`."""

_LEAST_PRIME_BITS = 20
"""Below, some rings have no prime of a given size."""

_PLAIN_BITS = 60
"""SEAL's limit for a plaintext modulus."""

_WORD_BITS = 64

_MAX_DEVIATION = {"bfv": (1 << 63) // 9, "ckks": (1 << 53) // 9}
"""Of the flooding noise, whose tails end below 9 deviations. It must fit int64; where noise may be released, in CKKS
that is raw, float64 must hold its every integer, or the lowest bits of the errors would stand out."""

_FLOAT_ERROR = 2.0**-46
"""Of flooding noise and of the bound on it, both made in float64, as a part of that bound: a handful of roundings of
2⁻⁵³ each, and a cosine whose angle is rounded."""

Kind = Literal["bfv", "ckks"]


@dataclass(frozen=True)
class Need:
    """What a key is for. participants, length: the most it serves; smaller cohorts and shorter vectors fit as well.

    precision: 0 for exact sums; raw CKKS: largest error of a sum, in integer units. releases: sums that each
    participant may release under the key. flooding_bits: s, the statistical security of all releases. Both are 0 where
    nothing is released to anyone without the key: nothing is flooded then.
    """

    kind: Kind
    participants: int
    length: int
    value_bits: int
    releases: int
    flooding_bits: int
    precision: int

    @property
    def sum_bits(self) -> int:
        """Bits of the largest sum."""
        return (self.participants * ((1 << self.value_bits) - 1)).bit_length()

    @property
    def of_a_scheme(self) -> dict[str, int]:
        """What a scheme of this kind is made with besides its own participants, length and value_bits."""
        own = {"raw_precision": self.precision} if self.kind == "ckks" else {}
        maxima = {"max_participants": self.participants, "max_length": self.length}
        return {**maxima, "releases": self.releases, "flooding_bits": self.flooding_bits, **own}

    @property
    def described(self) -> str:
        """The same in words, for messages."""
        fits = (
            f"{self.kind}, up to {self.participants} participants, up to {self.length} values of {self.value_bits} bits"
        )
        precision = f", sums off by up to {self.precision} (raw_precision)" if self.precision else ""
        released = f"{self.releases} releases at flooding_bits={self.flooding_bits}" if self.releases else "no release"
        return f"{fits}{precision}, {released}"


@dataclass(frozen=True)
class Parameters:
    """One choice of ring, modulus, packing and noise for a `Need`. Made by `derive`.

    The sums of `per_word` values stand side by side, `lane_bits` bits each, in one word: one coefficient of a
    plaintext. plain_moduli: BFV's t (none for CKKS), above every sum of words; or two that are prime to each other,
    2ʲ and 2ʲ − 1, whose product is: then a word is encrypted modulo each. scale_bits: CKKS's factor Δ = 2^scale_bits
    (0 for BFV). words: of a vector. deviation: of the flooding noise. noise_bound: of all noise in a released sum.
    """

    kind: Kind
    degree: int
    primes: tuple[int, ...]
    special_prime: int
    lane_bits: int
    per_word: int
    plain_moduli: tuple[int, ...]
    scale_bits: int
    precision: int
    words: int
    deviation: int
    noise_bound: int
    releases: int

    @cached_property
    def hash(self) -> bytes:
        """32 bytes that name these parameters; every ciphertext carries them."""
        return digest(Use.HE_PARAMETERS, *(str(value) for value in astuple(self)))

    @property
    def ciphertexts(self) -> int:
        """Ciphertexts in the longest upload."""
        return self.ciphertexts_for(self.words)

    @property
    def moduli(self) -> int:
        """In how many ciphertexts a word is: one, or one for each plaintext modulus."""
        return max(1, len(self.plain_moduli))

    def ciphertexts_for(self, words: int) -> int:
        """Return how many ciphertexts hold so many words."""
        return -(-words // self.degree) * self.moduli

    def runs(self, first: int, count: int) -> Iterator[tuple[int, slice]]:
        """Yield (number of a plaintext modulus, its ciphertexts) of `count` that begin at number `first`: in turn."""
        for index in range(self.moduli):
            yield index, slice((index - first) % self.moduli, count, self.moduli)

    @property
    def modulus(self) -> int:
        """q, the ciphertexts' modulus."""
        return math.prod(self.primes)

    @property
    def polynomial_bytes(self) -> int:
        """One polynomial modulo q, packed."""
        return sum(self.degree * prime.bit_length() // 8 for prime in self.primes)

    @property
    def fresh_bytes(self) -> int:
        """One fresh ciphertext: its first polynomial, packed, and the seed of the second."""
        return self.polynomial_bytes + SEED_BYTES

    @property
    def upload_bytes(self) -> int:
        """All ciphertexts of the longest upload."""
        return self.ciphertexts * self.fresh_bytes


@lru_cache(maxsize=256)
def derive(need: Need) -> Parameters:
    """Return the parameters with the smallest upload that hold a need. Raises `ParameterError` when there are none."""
    candidates = [found for degree in MAX_MODULUS_BITS for found in _candidates(need, degree)]
    if not candidates:
        raise ParameterError(
            f"value_bits={need.value_bits}: no ring with 128-bit security holds sums of {need.sum_bits} bits over "
            f"{need.participants} participants and the noise of {need.releases} releases at "
            f"flooding_bits={need.flooding_bits}: lower value_bits, releases or flooding_bits"
        )
    return min(candidates, key=lambda found: (found.upload_bytes, found.degree))


def _candidates(need: Need, degree: int) -> Iterator[Parameters]:
    """Yield what fits a ring of this degree, for every number of sums in a word, and of plaintext moduli.

    A lane holds every sum of values, and in raw CKKS the error on both sides of it.
    """
    exact = need.kind == "bfv"
    top = need.participants * ((1 << need.value_bits) - 1) + 2 * need.precision
    lane_bits = top.bit_length()
    for moduli, per_word in product((1, 2) if exact else (1,), range(1, _WORD_BITS + 1)):
        room = _PLAIN_BITS - 1 if exact and moduli == 1 else _WORD_BITS
        if per_word * lane_bits > room and (exact or per_word > 1):
            continue
        words = -(-need.length // per_word)
        deviation, bound = _noise(need, degree, moduli * -(-words // degree))
        if deviation > _MAX_DEVIATION[need.kind]:
            continue
        largest = sum(top << (lane * lane_bits) for lane in range(per_word))
        if exact:
            plain_moduli = _plain_moduli(largest, moduli)
            scale_bits = 0
            least = 2 * plain_moduli[0] * (bound + 2)
        else:
            plain_moduli = ()
            scale_bits = _scale_bits(need.precision, bound)
            least = (largest + 1) << scale_bits
        modulus = _modulus(degree, least, math.prod(plain_moduli))
        if modulus is not None:
            primes, special = modulus
            yield Parameters(
                need.kind, degree, primes, special, lane_bits, per_word, plain_moduli, scale_bits, need.precision,
                words, deviation, bound, need.releases,
            )  # fmt: skip


def _plain_moduli(largest: int, count: int) -> tuple[int, ...]:
    """Return one modulus above the largest sum of words, or 2ʲ and 2ʲ − 1 with such a product."""
    if count == 1:
        return (largest + 1,)
    bits = largest.bit_length() // 2
    while (1 << bits) * ((1 << bits) - 1) <= largest:
        bits += 1
    return 1 << bits, (1 << bits) - 1


def _scale_bits(precision: int, bound: int) -> int:
    """Return the smallest log₂ Δ with bound < Δ / 2, by which what is rounded is exact.

    For a raw precision, with bound / Δ + ½ ≤ precision (without the ½ for Δ = 1: nothing is rounded).
    """
    if precision == 0:
        return (2 * bound).bit_length()
    if bound <= precision:
        return 0
    return (-(-2 * bound // (2 * precision - 1)) - 1).bit_length()


def _noise(need: Need, degree: int, ciphertexts: int) -> tuple[int, int]:
    """Return (deviation of the flooding noise, bound on every coefficient of all noise in a released sum)."""
    n = need.participants
    rounding = n / 2 if need.kind == "bfv" else 0.0  # BFV rounds q·m/t once in every fresh ciphertext
    deviation = _deviation(need, degree, ciphertexts, rounding) if need.releases else 0
    # P(|X| > kσ) ≤ 2 exp(−k²/2) for both noises; a union over coefficients and both.
    k = math.sqrt(2 * math.log(2) * (FAILURE_BITS + 2 + math.log2(ciphertexts * degree)))
    bound = math.ceil(k * deviation + k * math.sqrt(ERROR_VARIANCE * n) + rounding) + 1
    return deviation, bound + int(k * deviation * _FLOAT_ERROR)


def _deviation(need: Need, degree: int, ciphertexts: int, rounding: float) -> int:
    """Return the deviation of the flooding noise. rounding: bound on what BFV's rounding adds to a coefficient."""
    n = need.participants
    # Each participant counts alone, so in the worst case every one of them releases as often as it may.
    released = ciphertexts * need.releases * n
    # ‖e‖² of a subgaussian vector: Hsu, Kakade and Zhang 2012, theorem 1 with A = I.
    x = (FAILURE_BITS + math.log2(released)) * math.log(2)
    euclidean = math.sqrt(ERROR_VARIANCE * n * (degree + 2 * math.sqrt(degree * x) + 2 * x))
    euclidean += rounding * math.sqrt(degree)
    return flooding_deviation(released, need.flooding_bits, euclidean)


def flooding_deviation(released: int, flooding_bits: int, euclidean: float) -> int:
    """Return σ = √(12 τ) · 2^(s/2) · B: Li, Micciancio, Schultz and Sorrell (CRYPTO 2022).

    released: τ, every ciphertext of every release. euclidean: B, a bound on the noise that is to be hidden. Flooding
    noise is Gaussian in all N coefficients, so B is in the Euclidean norm.
    """
    return math.ceil(math.sqrt(12 * released) * 2 ** (flooding_bits / 2) * euclidean)


def _modulus(degree: int, least: int, apart: int) -> tuple[tuple[int, ...], int] | None:
    """Return (primes of a modulus q ≥ least, the special prime or 0); None when it would not be secure.

    One prime when it is enough. SEAL keeps the last of several primes out of ciphertexts, so two data primes need a
    third, as small as can be. apart: what no prime may divide, since SEAL refuses a plaintext modulus otherwise.
    """
    limit = MAX_MODULUS_BITS[degree]
    for bits in range(max(least.bit_length(), _LEAST_PRIME_BITS), min(limit, 2 * _PRIME_BITS - 2) + 1):
        if bits <= _PRIME_BITS:
            primes: tuple[int, ...] = (ring_prime(degree, bits),)
            special = 0
        else:  # two different sizes: two different primes
            primes = (ring_prime(degree, bits // 2 + 1), ring_prime(degree, bits - bits // 2 - 1))
            special = _smallest_prime(degree, apart)
        modulus = math.prod(primes)
        if modulus >= least and math.gcd(modulus, apart) == 1:
            whole = modulus * max(special, 1)
            return (primes, special) if whole.bit_length() <= SEAL_MODULUS_BITS[degree] else None
    return None


@lru_cache
def _smallest_prime(degree: int, apart: int) -> int:
    """Return the smallest prime ≡ 1 mod 2N that does not divide `apart` (small: trial division decides)."""
    candidate = 2 * degree + 1
    while apart % candidate == 0 or any(candidate % factor == 0 for factor in range(3, math.isqrt(candidate) + 1, 2)):
        candidate += 2 * degree
    return candidate
