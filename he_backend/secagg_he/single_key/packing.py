"""From values to plaintext words and back: sums side by side in a word, one word a coefficient.

A word holds `per_word` sums in lanes of `lane_bits` bits. In BFV sums are exact; words too wide for one plaintext
modulus are encrypted modulo two, and their sum follows from both: nothing else does. In CKKS a decrypted word is
rounded to the right one. In raw CKKS it is off by at most `precision`: its lowest lane has room for that on both sides,
so every other sum in the word is exact.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from secagg_protocols.packing.lanes import Lanes, Words
from secagg_protocols.packing.sums import Domain, Output

from ..parameters import Parameters
from ..ring import compose, ring

_WORD_BITS = 64
"""A raw CKKS lane may be wider, for the error above the largest sum; the sum itself never is."""


@dataclass(frozen=True)
class Packing:
    """How the vectors of a domain are laid into plaintexts."""

    parameters: Parameters
    domain: Domain

    @cached_property
    def lanes(self) -> Lanes:
        """Sums in words."""
        chosen = self.parameters
        bits = min(chosen.lane_bits, _WORD_BITS)
        return Lanes(self.domain.length, bits, chosen.per_word, -(-chosen.per_word * bits // 8))

    @property
    def ciphertexts(self) -> int:
        """Ciphertexts that hold a vector."""
        return self.parameters.ciphertexts_for(self.lanes.words)

    @cached_property
    def released(self) -> Lanes:
        """How opened words travel: as they are packed; modulo two plaintext moduli, by ciphertexts in turn."""
        chosen = self.parameters
        if chosen.moduli < 2:
            return self.lanes
        bits = chosen.plain_moduli[-1].bit_length()
        return Lanes(self.ciphertexts * chosen.degree, bits, 1, -(-bits // 8))

    def words_of(self, vector: NDArray[np.integer]) -> Words:
        """Return a vector's plaintext words: shape (ciphertexts · N,), the last ones (of each modulus) 0."""
        chosen = self.parameters
        words = np.zeros((self.ciphertexts // chosen.moduli, chosen.moduli, chosen.degree), dtype=np.uint64)
        packed = np.zeros((len(words), chosen.degree), dtype=np.uint64)
        packed.reshape(-1)[: self.lanes.words] = self.lanes.pack(vector)
        words[:] = packed[:, None]
        if chosen.moduli > 1:
            words %= np.array(chosen.plain_moduli, dtype=np.uint64)[:, None]
        return words.reshape(-1)

    def limit(self, survivors: int) -> int:
        """Return the largest sum that so many participants can give."""
        return survivors * ((1 << self.domain.value_bits) - 1)

    def output(self, words: Words, survivors: tuple[int, ...]) -> Output | None:
        """Return the sum in released words; None when they are no sum of so many valid vectors."""
        composed = self._composed(words)
        if composed is None:
            return None
        output = Output(composed, survivors, self.lanes)
        if max(int(sums.max()) for _, sums in output.parts()) > self.limit(len(survivors)):
            return None
        return self.domain.settled(output)

    def _composed(self, words: Words) -> Words | None:
        """Return packed sums from what they are modulo each plaintext modulus; None when none can be."""
        moduli = self.parameters.plain_moduli
        if len(moduli) < 2:
            return words
        by_modulus = words.reshape(-1, 2, self.parameters.degree).swapaxes(0, 1)
        first, second = by_modulus.reshape(2, -1)[:, : self.lanes.words]
        power, less = moduli  # 2ʲ and 2ʲ − 1, so that 2ʲ is 1 modulo the other
        if int(first.max()) >= power or int(second.max()) >= less:
            return None
        factor = (second + np.uint64(less) - first) % np.uint64(less)
        bits = power.bit_length() - 1
        room = self.lanes.per_word * self.lanes.bits - bits
        if int(factor.max()) >> room:
            return None
        composed: Words = factor << np.uint64(bits) | first
        return composed


def to_plaintexts(parameters: Parameters, words: Words) -> Words:
    """Return plaintexts as `seal` takes them, from words: shape (rows, N)."""
    if parameters.kind == "bfv":
        return words[:, None]
    plaintexts = np.empty((len(words), len(parameters.primes), parameters.degree), dtype=np.uint64)
    for index, prime in enumerate(parameters.primes):
        arithmetic = ring(parameters.degree, prime)
        scale = np.full(parameters.degree, (1 << parameters.scale_bits) % prime, dtype=np.int64)
        scaled = arithmetic.multiply((words % np.uint64(prime)).astype(np.int64), scale)
        plaintexts[:, index] = arithmetic.forward(scaled)
    return plaintexts


def from_plaintexts(parameters: Parameters, plaintexts: Words, limit: int) -> Words:
    """Return words, shape (rows, N), from what `seal` decrypted. limit: the largest sum that can be right.

    CKKS: rounds. Raw, a word's lowest sum is then within `precision`, and cut to 0 … limit.
    """
    if parameters.kind == "bfv":
        return plaintexts[:, 0]
    words = _rounded(parameters, plaintexts)
    return _cut(parameters, words, limit) if parameters.precision else words


def _rounded(parameters: Parameters, plaintexts: Words) -> Words:
    """Return ⌊x / Δ + ½⌉ + precision of every coefficient x = word · Δ + noise: never negative, as |noise| < Δ / 2, or
    ≤ (precision − ½) · Δ where it is raw."""
    scale = parameters.scale_bits
    high, low = _compose(parameters, plaintexts)
    offset = (parameters.precision << scale) + (1 << scale >> 1)
    high, low = _plus(high, low, offset, parameters.modulus)
    words = low >> np.uint64(scale) | high << np.uint64(64 - scale) if scale else low
    words[high >> np.uint64(scale) != 0] = np.iinfo(
        np.uint64
    ).max  # above 2⁶⁴: raw, a wide sum by its error; or garbage
    return words


def _cut(parameters: Parameters, words: Words, limit: int) -> Words:
    """Return words whose lowest sums, each off by up to `precision` and raised by it, are cut to 0 … limit."""
    precision = np.uint64(parameters.precision)
    bits = min(parameters.lane_bits, _WORD_BITS)
    mask = np.uint64((1 << bits) - 1)
    lowest = words & mask
    top = min(limit + 2 * parameters.precision, int(mask))
    right = np.minimum(np.maximum(lowest, precision) - precision, np.uint64(limit))
    return words & ~mask | np.where(lowest > top, lowest, right)


def _compose(parameters: Parameters, plaintexts: Words) -> tuple[Words, Words]:
    """Return (high, low) 64-bit halves of the coefficients in [0, q): Chinese remaindering, at most two primes."""
    residues = [
        ring(parameters.degree, prime).inverse(plaintexts[:, index].astype(np.int64))
        for index, prime in enumerate(parameters.primes)
    ]
    if len(residues) == 1:
        return np.zeros(residues[0].shape, dtype=np.uint64), residues[0].view(np.uint64)
    p, q = parameters.primes
    return compose(residues[0], residues[1], p, ring(parameters.degree, q))


def _plus(high: Words, low: Words, offset: int, modulus: int) -> tuple[Words, Words]:
    """Return (high, low) + offset modulo q: what stood just below q, a small negative number, becomes positive."""
    total = low + np.uint64(offset & 0xFFFFFFFFFFFFFFFF)
    top = high + np.uint64(offset >> 64) + (total < low)
    q_high = np.uint64(modulus >> 64)
    q_low = np.uint64(modulus & 0xFFFFFFFFFFFFFFFF)
    above = (top > q_high) | ((top == q_high) & (total >= q_low))
    reduced = total - q_low
    return np.where(above, top - q_high - (total < q_low), top), np.where(above, reduced, total)
