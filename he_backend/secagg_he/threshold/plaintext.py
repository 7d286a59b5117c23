"""How values ride in the coefficients of a ring: side by side above the noise, wide ones in limbs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from secagg_protocols.blocks import checked_output, impossible
from secagg_protocols.lanes import Lanes, Words
from secagg_protocols.scheme import Domain, Output, Step

from .. import limbs as limb_by_limb
from ..ring import ring_prime
from .noise import DEGREE, MAX_LOG_Q, MIN_LOG_Q

MAX_LIMBS = 4


@dataclass(frozen=True, slots=True)
class Plaintext:
    """value_bits, limbs: of a value. domain: of the limbs, as if they were values. lanes: their sums in coefficients.

    modulus: q, a prime above Δ · (largest packed sum + 1).
    """

    value_bits: int
    limbs: int
    domain: Domain
    lanes: Lanes
    modulus: int

    @classmethod
    def of(cls, domain: Domain, shift: int) -> Plaintext | None:
        """Choose the packing with the fewest bytes above `shift` bits of noise; None when there is none."""
        choices = []
        for limbs in range(1, min(MAX_LIMBS, domain.value_bits) + 1):
            limb = Domain(domain.participants, domain.length * limbs, -(-domain.value_bits // limbs))
            for per_word in range(1, MAX_LOG_Q // limb.sum_bits + 1):
                modulus = _modulus(limb, per_word, shift)
                if modulus is not None:
                    width = -(-modulus.bit_length() // 8)
                    lanes = Lanes(limb.length, limb.sum_bits, per_word, 8)
                    choices.append(
                        (lanes.words * width, -per_word, limbs, cls(domain.value_bits, limbs, limb, lanes, modulus))
                    )
            if choices:
                return min(choices, key=lambda choice: choice[:2])[-1]
        return None

    def split(self, vector: NDArray[np.integer]) -> NDArray[np.integer]:
        """Return a vector's limbs."""
        return limb_by_limb.split(vector, self.limbs, self.domain.value_bits)

    def output(self, words: Words, survivors: tuple[int, ...], step: Step) -> Output:
        """Return packed sums as a result. Raises `RoundFailed` unless so many valid vectors can have such a sum."""
        output = checked_output(self.domain, self.lanes, words, survivors, step)
        if self.limbs == 1:
            return output
        total = limb_by_limb.join(output.total, self.limbs, self.domain.value_bits, self.value_bits, len(survivors))
        if total is None:
            raise impossible(survivors, step)
        return Output(total, survivors)


def _modulus(domain: Domain, per_word: int, shift: int) -> int | None:
    """Return the prime for so many sums in one coefficient; None when none is secure and sums up in 64 bits."""
    largest = domain.participants * ((1 << domain.value_bits) - 1)
    packed = sum(largest << lane * domain.sum_bits for lane in range(per_word))
    needed = (packed + 1) << shift
    for bits in range(max(MIN_LOG_Q, needed.bit_length()), MAX_LOG_Q + 1):
        modulus = ring_prime(DEGREE, bits)
        if modulus >= needed:
            return modulus if domain.participants * modulus < 1 << 64 else None
    return None
