"""Key recovery: a decrypted sum that is only nearly right says, beside its ciphertext, what key decrypted it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from secagg_he import Ckks
from secagg_he.envelope import Content
from secagg_he.parameters import Parameters
from secagg_he.ring import centred, ring
from secagg_he.single_key import steps
from secagg_he.single_key.packing import to_plaintexts
from secagg_protocols import SERVER, InsecureDeterministicRandomness

from ..attack import Attack, Effort, Finding, Metric
from ..defence import Defence
from .schemes import has_own_keys, scheme_of, seen

Integers = NDArray[np.int64]

PARTICIPANTS = 3
UNFLOODED = "what is decrypted leaves with the errors of the encryption, and without flooding noise"
WIDE: dict[str, Any] = {"value_bits": 44, "raw_precision": 1 << 40}
"""Of a sum whose errors are not rounded away: the scale is 1."""


@dataclass(frozen=True)
class Unflooded(Ckks):
    """Raw CKKS whose participants add no flooding noise to what they release."""

    @cached_property
    def parameters(self) -> Parameters:
        """Those of raw CKKS, with noise of no width."""
        return replace(super().parameters, deviation=0)


class CkksKey(Attack):
    """The key that all participants hold, from one released sum."""

    name: ClassVar[str] = "ckks-key"
    title: ClassVar[str] = "The key that all participants hold, from a released sum beside its ciphertext"
    source: ClassVar[str] = "Li, Micciancio, On the Security of Homomorphic Encryption on Approximate Numbers, 2021"
    adversary: ClassVar[str] = "the server, curious: sees the summed ciphertexts and the sum that is released"
    metric: ClassVar[Metric] = Metric("share of the secret key's coefficients known", success=0.9)

    def no_view(self, defence: Defence) -> str:
        if defence.scheme is None:
            return "nothing is encrypted"
        if has_own_keys(defence):
            return "no key outlives the round: each participant has keys of its own, for one sum"
        return ""

    def view(self, defence: Defence) -> str:
        return seen("ciphertexts and released sum", defence)

    def held_by(self, defence: Defence) -> bool:
        return defence.scheme is not None

    def weak(self) -> Defence:
        return Defence("unflooded", "secure sum, raw CKKS", "ckks", broken=UNFLOODED)

    def run(self, defence: Defence, seed: int, effort: Effort) -> Finding:
        from secagg.conformance.driver import Rehearsal

        scheme = full(defence)
        middle = np.full(scheme.length, 1 << scheme.value_bits - 1)
        vectors = dict.fromkeys(range(1, PARTICIPANTS + 1), middle)
        running = Rehearsal(scheme, vectors=vectors, randomness=InsecureDeterministicRandomness(seed)).finish()
        key: Any = running.group_key
        secret = key.polynomial(scheme.parameters.degree)
        return Finding(float(np.mean(recovered(running) == secret)), most_frequent(secret))


def full(defence: Defence) -> Any:
    """Return the scheme with a vector that fills its plaintexts: what is not there would be cut off at 0."""
    length = 1
    while True:
        scheme = scheme_of(defence, PARTICIPANTS, length, {UNFLOODED: partial(Unflooded, **WIDE)})
        room = scheme.parameters.ciphertexts * scheme.parameters.degree * scheme.parameters.per_word
        room //= scheme.parameters.moduli
        if room == length:
            return scheme
        length = room


def recovered(running: Any) -> Integers:
    """Return the guess at the secret, shape (N,), from what the server of a finished round has."""
    scheme = running.scheme
    parameters = scheme.parameters
    told = running.clients[1].open(running.parse(running.heard[1, "Aggregate"]))
    body = running.server._sealer.open(Content.AGGREGATE, SERVER, 0, told.words)
    half = len(body) // 2
    first, second = (steps.unpack_polynomials(parameters, part)[0, 0] for part in (body[:half], body[half:]))
    words = scheme.packing.words_of(running.server.output.total).reshape(-1, parameters.degree)
    plaintext = to_plaintexts(parameters, words)[0, 0]
    prime = parameters.primes[0]
    first, second, opened = (part.astype(np.int64) for part in (first, second, plaintext))
    if parameters.plain_moduli:
        scaled = [int(word) * prime // parameters.plain_moduli[0] for word in opened]
        arithmetic = ring(parameters.degree, prime)
        first, second, opened = arithmetic.forward(np.array([first, second, scaled], dtype=np.int64))
    return solved(first, second, opened, prime)


def solved(first: Integers, second: Integers, opened: Integers, prime: int) -> Integers:
    """Return s in c₀ + c₁ · s = m modulo a prime, centred. All are transforms, shape (N,), as CKKS has them."""
    arithmetic = ring(len(first), prime)
    inverses = np.array([pow(int(value), -1, prime) if value else 0 for value in second])
    quotient = arithmetic.multiply(((opened - first) % prime)[None, :], inverses[None, :])
    secret: Integers = centred(arithmetic.inverse(quotient), prime)[0]
    return secret


def most_frequent(secret: NDArray[np.int8]) -> float:
    """Return the share of coefficients that a guess of the most frequent value gets right."""
    return float(np.unique(secret, return_counts=True)[1].max() / len(secret))
