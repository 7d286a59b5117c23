"""Bonawitz: the public parameters and the rules that derive and refuse them."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import ClassVar

from ..core.guarantee import Adversary, Coalition, Keys, RoundView, Traits
from ..core.step import Step
from ..core.work import MeasuredRound, Work
from ..dealing import Dealing
from ..errors import ParameterError
from ..packing.blocks import BLOCK_BYTES
from ..primitives import merkle, shamir
from .work import work


@dataclass(frozen=True)
class Bonawitz(Dealing):
    """Pairwise and self masks with dropout recovery (Bonawitz et al., CCS'17, figure 4).

    participants: n, at most 65535. length: coordinates per vector. value_bits: each coordinate is in [0, 2^value_bits).
    colluders: c, participants that may work with the server. adversary: "semi-honest" or "active".
    threshold: t, how many must finish; derived when not given, refused when too small. ciphersuite: "x25519" or "p256".
    further_seeds: 32-byte seeds that are shared beside the protocol's own (dropout-resilient noise needs them).

    Threshold rules: see `Dealing`.
    """

    further_seeds: int = field(default=0, kw_only=True)

    name: ClassVar[str] = "bonawitz"
    traits: ClassVar[Traits] = Traits(
        protects=True,
        adversaries=frozenset(Adversary),
        keys=Keys.OWN,
        early_keys=True,
        opens=frozenset({"self_mask_seeds", "mask_keys"}),
    )
    upload_step: ClassVar[Step] = Step.MASKED_INPUT
    opening_step: ClassVar[Step] = Step.UNMASKING

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_integer("further_seeds")
        if not 0 <= self.further_seeds <= 255:
            raise ParameterError(f"further_seeds={self.further_seeds} is not between 0 and 255")

    @property
    def secrets(self) -> int:
        """Secrets each participant shares: its mask key, its self-mask seed, further seeds."""
        return 2 + self.further_seeds

    @property
    def share_bytes(self) -> int:
        """Bytes that one dealer seals for one holder."""
        proof = merkle.depth(self.participants) * merkle.HASH_BYTES if self.active else 0
        return self.secrets * shamir.SHARE_BYTES + proof

    @property
    def opened_by(self) -> tuple[Coalition, ...]:
        return (Coalition(self.quorum, "every vector"),)

    def _opened(self, view: RoundView) -> dict[str, tuple[int, ...]]:
        """The self-mask seed of whoever is in the sum, the mask key of whoever vanished before: never both."""
        dealers, survivors = set(view.listed), set(view.survivors)
        return {
            "self_mask_seeds": tuple(sorted(dealers & survivors)),
            "mask_keys": tuple(sorted(dealers - survivors)) if survivors else (),
        }

    def work(self, run: MeasuredRound) -> tuple[Work, Work]:
        return work(self, run)

    def reach(self, members: int) -> float:
        """Return how many of so many members share masks with any one of them, itself included."""
        return members

    @cached_property
    def payload_limit(self) -> int:
        entry = 512 + merkle.HASH_BYTES * (self.secrets + 1)
        digests = self.secrets * merkle.HASH_BYTES if self.active else 0
        per_participant = max(entry, self.sealed_bytes + digests, shamir.SHARE_BYTES) + 16
        return max(BLOCK_BYTES, self.participants * per_participant) + 1024
