"""Bonawitz: the public parameters and the rules that derive and refuse them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar

from ..core.exchange import Exchange
from ..core.guarantee import Adversary, Coalition, Keys, Traits
from ..core.noise import NoiseShare
from ..core.secrets import Secret, Secrets, names, survived, vanished
from ..core.step import Step
from ..core.work import MeasuredRound, Work
from ..dealing import Dealing
from ..primitives import merkle, shamir
from .messages import EXCHANGE
from .work import work

SECRETS = (
    Secret("mask_keys", vanished),
    Secret("self_mask_seeds", survived),
)
"""s_u^SK and b_u: the mask key of who vanished before its vector was in, the self-mask seed of who is in the sum."""

NOISE_SEEDS = "noise_seeds"
"""c_L … c₁, where noise has L layers that can be taken off: the rows after b_u = c_{L+1} (`bonawitz.noise`)."""


def secrets_with_noise(participants: int, share: NoiseShare) -> Secrets:
    """Return the table for noise in layers. When k of them stay, c_{k+1} of each survivor is opened, and no other."""
    layers = len(share.layers)
    mask_keys, self_mask_seeds = SECRETS
    return (
        mask_keys,
        replace(self_mask_seeds, when=partial(_stay, share, participants, layers)),
        *(
            Secret(NOISE_SEEDS, survived, when=partial(_stay, share, participants, stay))
            for stay in reversed(range(layers))
        ),
    )


def _stay(share: NoiseShare, participants: int, layers: int, survivors: int) -> bool:
    """Tell whether just so many layers stay in a sum over so many survivors."""
    return share.kept(participants - survivors) == layers


@dataclass(frozen=True)
class Bonawitz(Dealing):
    """Pairwise and self masks with dropout recovery (Bonawitz et al., CCS'17, figure 4).

    participants: n, at most 65535. length: coordinates per vector. value_bits: each coordinate is in [0, 2^value_bits).
    colluders: c, participants that may work with the server. adversary: "semi-honest" or "active".
    threshold: t, how many must finish; derived when not given, refused when too small. ciphersuite: "x25519" or "p256".

    Threshold rules: see `Dealing`.
    """

    name: ClassVar[str] = "bonawitz"
    traits: ClassVar[Traits] = Traits(
        protects=True,
        adversaries=frozenset(Adversary),
        keys=Keys.OWN,
        early_keys=True,
        opens=names(SECRETS) | {NOISE_SEEDS},
    )
    removes_noise: ClassVar[bool] = True
    exchange: ClassVar[Exchange] = EXCHANGE
    secrets: ClassVar[Secrets] = SECRETS
    upload_step: ClassVar[Step] = EXCHANGE.upload_step
    opening_step: ClassVar[Step] = Step.UNMASKING

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.layers:
            assert self.noise_share is not None
            object.__setattr__(self, "secrets", secrets_with_noise(self.participants, self.noise_share))

    @property
    def share_bytes(self) -> int:
        """Bytes that one dealer seals for one holder."""
        proof = merkle.depth(self.participants) * merkle.HASH_BYTES if self.active else 0
        return len(self.secrets) * shamir.SHARE_BYTES + proof

    @property
    def opened_by(self) -> tuple[Coalition, ...]:
        return (Coalition(self.quorum, "every vector"),)

    def work(self, run: MeasuredRound) -> tuple[Work, Work]:
        return work(self, run)

    # --- how long fields of messages are (`core.fields`)

    @property
    def commitments_bytes(self) -> int:
        """Bytes of the commitments to a dealer's seeds."""
        return (len(self.secrets) - 1) * merkle.HASH_BYTES

    @property
    def share_root_bytes(self) -> int:
        """Bytes of the root over a dealer's shares."""
        return merkle.HASH_BYTES if self.active else 0

    @property
    def share_digests_bytes(self) -> int:
        return self.participants * len(self.secrets) * merkle.HASH_BYTES if self.active else 0

    @property
    def opened_bytes(self) -> int:
        """Bytes that a holder opens of one dealer."""
        return shamir.SHARE_BYTES
