"""ThresholdCkks: the public parameters and how they are derived."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import ClassVar

from secagg_protocols import (
    Adversary,
    Coalition,
    Keys,
    MeasuredRound,
    ParameterError,
    Policy,
    Step,
    Traits,
    Work,
)
from secagg_protocols.core.exchange import Exchange
from secagg_protocols.core.secrets import Secret, Secrets, names, survived
from secagg_protocols.dealing import Dealing
from secagg_protocols.packing.blocks import block_words
from secagg_protocols.primitives import shamir
from secagg_protocols.primitives.coded import CodedSharing
from secagg_protocols.primitives.field import GF65537

from ..ring import Ring, ring
from .ciphertexts import Ciphertexts
from .messages import EXCHANGE
from .noise import MAX_LOG_Q, WIDE_DEGREE, error_bound
from .plaintext import Plaintext

_FEW = 32
"""Up to so many participants, key shares are small enough to be dealt one secret per polynomial."""

CHECKS = 4
"""Combinations of its shares that a dealer is checked by: 65537⁻⁴ = 2⁻⁶⁴."""
_CHECK_BYTES = 2 * CHECKS + 1

SECRETS = (Secret("sum_of_shares", survived, summed=True),)
"""The one-time key sᵢ."""


@dataclass(frozen=True)
class ThresholdCkks(Dealing):
    """Key-additive encryption: exact, no one ever decrypts under a shared key. Only the sum of one-time keys is opened.

    Each participant encrypts once, cᵢ = a·sᵢ + eᵢ + Δ·mᵢ, under a key of its own and a common reference a that follows
    from the session (Willow, CRYPTO'25, and ACORN, USENIX Security'23). The name: docs/decisions/0016.

    participants, length, value_bits, ciphersuite, adversary, colluders, threshold: as in `Bonawitz`.
    packing: ℓ, key coefficients that share one polynomial: shares are ℓ times smaller, and t − ℓ holders, not t − 1,
    learn nothing of a key. Derived when not given: 1 for up to 32 participants, else the least that makes shares as
    small as they get while a third of the participants (or `colluders`, if more) stays harmless. t ≥ c + ℓ.

    Raises `ParameterError` with the bound that is violated.
    """

    packing: int | None = field(default=None, kw_only=True)

    name: ClassVar[str] = "threshold-ckks"
    traits: ClassVar[Traits] = Traits(
        protects=True,
        adversaries=frozenset(Adversary),
        keys=Keys.OWN,
        early_keys=True,
        opens=names(SECRETS),
    )
    exchange: ClassVar[Exchange] = EXCHANGE
    secrets: ClassVar[Secrets] = SECRETS
    upload_step: ClassVar[Step] = EXCHANGE.upload_step
    opening_step: ClassVar[Step] = Step.OPENING

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.packing is None:
            object.__setattr__(self, "packing", self._derived_packing())
        self.check_integer("packing")
        assert self.packing is not None
        # More than one secret to a polynomial without a uniform value beside them would show keys to every holder.
        most = max(1, self.quorum - max(1, self.colluders))
        if not 1 <= self.packing <= most:
            raise ParameterError(
                f"packing={self.packing} is not between 1 and {most}: threshold={self.quorum} holders open keys that "
                f"max(1, colluders={self.colluders}) must learn nothing of; lower it, or raise the threshold"
            )
        _ = self.plaintext, self.sharing  # they raise when there is none

    def _derived_packing(self) -> int:
        if self.participants <= _FEW:
            return 1
        harmless = max(self.colluders, self.participants // 3)
        # Shares are rounded up: fewer secrets to a polynomial may take the same bytes, and hide from more holders.
        return -(-self.degree // self._share_elements(max(1, self.quorum - harmless)))

    def check_policy(self, policy: Policy) -> None:
        super().check_policy(policy)
        if policy.colluders > self.sharing.privacy:
            raise ParameterError(
                f"this participant's policy asks for {policy.colluders} colluders; keys are shared against "
                f"t − ℓ = {self.sharing.privacy}: raise the threshold, or lower packing={self.packing}"
            )

    @property
    def beyond_threshold(self) -> str:
        harmless = self.sharing.privacy
        if self.packing == 1:
            return super().beyond_threshold
        return f"more of every key with each holder above t − ℓ = {harmless}; everything, from t = {self.quorum} on"

    @property
    def opened_by(self) -> tuple[Coalition, ...]:
        begins = self.sharing.privacy + 1
        everything = Coalition(self.quorum, "every vector")
        if begins == self.quorum:
            return (everything,)
        return (Coalition(begins, "parts of every key", partly=True), everything)

    def work(self, run: MeasuredRound) -> tuple[Work, Work]:
        return Work(), Work()  # the raw cryptography of ciphertexts is not timed

    # --- the plaintext

    @cached_property
    def error_bound(self) -> int:
        """B: no coefficient of the sum of all errors passes it, but for a chance of 2⁻⁴⁰."""
        return error_bound(self.participants, self.length + WIDE_DEGREE)

    @cached_property
    def shift(self) -> int:
        """log₂ Δ: bits below the values, which hold the sum of all errors with its sign (Δ > 2B)."""
        return (2 * self.error_bound).bit_length()

    @cached_property
    def plaintext(self) -> Plaintext:
        """How values are laid into coefficients."""
        found = Plaintext.of(self.domain, self.shift)
        if found is None:
            raise ParameterError(
                f"participants={self.participants}, value_bits={self.value_bits}: such sums leave no room beside "
                f"{self.shift} bits of noise in a modulus of {MAX_LOG_Q[WIDE_DEGREE]} bits, the largest used at ring "
                f"degree {WIDE_DEGREE}: lower either"
            )
        return found

    # --- the ciphertext

    @property
    def degree(self) -> int:
        """N: coefficients of a key."""
        return self.plaintext.degree

    @cached_property
    def rings(self) -> tuple[Ring, ...]:
        """R_q, as its residue rings: one for each prime of q."""
        return tuple(ring(self.degree, prime) for prime in self.plaintext.primes)

    @cached_property
    def ciphertexts(self) -> Ciphertexts:
        """How residues travel."""
        return Ciphertexts(self.plaintext.polynomials, self.degree, self.plaintext.primes)

    @property
    def block_words(self) -> int:
        """Residues of one block on the wire."""
        return block_words(self.ciphertexts)

    # --- the shares of keys

    @cached_property
    def sharing(self) -> CodedSharing:
        """How a key's coefficients are shared."""
        assert self.packing is not None
        return CodedSharing(self.participants, self.quorum, self.packing, GF65537)

    @property
    def share_elements(self) -> int:
        """Field elements of one share of a key: ⌈N/ℓ⌉, rounded up to what is encoded together."""
        return self._share_elements(self.sharing.pieces)

    def _share_elements(self, packing: int) -> int:
        return -(-self.degree // packing // shamir.LIMBS) * shamir.LIMBS

    @property
    def sum_bytes(self) -> int:
        """Bytes of a share of a key, and of a sum of such."""
        return self.share_elements // shamir.LIMBS * shamir.SHARE_BYTES

    @property
    def share_bytes(self) -> int:
        return self.sum_bytes + _CHECK_BYTES

    @property
    def checks_bytes(self) -> int:
        """Most bytes of what a holder says of the shares of all dealers."""
        return -(-self.participants * CHECKS // shamir.LIMBS) * shamir.SHARE_BYTES
