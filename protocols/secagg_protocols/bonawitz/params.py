"""Bonawitz: the public parameters and the rules that derive and refuse them."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

from .. import merkle, shamir
from ..blocks import BLOCK_BYTES
from ..errors import ParameterError
from ..scheme import Policy, Scheme, Step

if TYPE_CHECKING:
    from .client import BonawitzClient
    from .server import BonawitzServer

AEAD_TAG_BYTES = 16


@dataclass(frozen=True)
class Bonawitz(Scheme):
    """Pairwise and self masks with dropout recovery (Bonawitz et al., CCS'17, figure 4).

    participants: n, at most 65535. length: coordinates per vector. value_bits: each coordinate is in [0, 2^value_bits).
    colluders: c, participants that may work with the server. adversary: "semi-honest" or "active".
    threshold: t, how many must finish; derived when not given, refused when too small. ciphersuite: "x25519" or "p256".
    further_seeds: 32-byte seeds that are shared beside the protocol's own (dropout-resilient noise needs them).

    Threshold rules: semi-honest t ≥ c + 1; active 2t > n + c, so that any two sets of t answers have an honest
    participant in common that speaks for one survivor set only. The derived threshold is at least a majority in
    both. Raises `ParameterError` with the bound that is violated.
    """

    colluders: int = field(default=0, kw_only=True)
    threshold: int | None = field(default=None, kw_only=True)
    further_seeds: int = field(default=0, kw_only=True)

    name: ClassVar[str] = "bonawitz"

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("colluders", "further_seeds", *(("threshold",) if self.threshold is not None else ())):
            self.check_integer(name)
        if self.participants < 2:
            raise ParameterError(f"participants={self.participants}: a secure sum needs at least 2")
        if not 0 <= self.colluders <= self.participants - 2:
            raise ParameterError(
                f"colluders={self.colluders} must be between 0 and participants − 2 = {self.participants - 2}: "
                "two honest participants are the least a sum can hide"
            )
        if not 0 <= self.further_seeds <= 255:
            raise ParameterError(f"further_seeds={self.further_seeds} is not between 0 and 255")
        minimum = self.minimum_threshold(self.colluders)
        if self.threshold is None:
            object.__setattr__(self, "threshold", max(minimum, self.participants // 2 + 1))
        if not minimum <= self.quorum <= self.participants:
            raise ParameterError(
                f"threshold={self.quorum} is not between {minimum} and participants={self.participants}: "
                f"{self.adversary} with colluders={self.colluders} needs at least {minimum}"
            )

    def minimum_threshold(self, colluders: int) -> int:
        return (self.participants + colluders) // 2 + 1 if self.active else colluders + 1

    def floor(self, policy: Policy) -> int:
        # Colluders are not company, whoever states them.
        return max(self.quorum, policy.minimum_cohort + max(policy.colluders, self.colluders))

    @property
    def quorum(self) -> int:
        assert self.threshold is not None
        return self.threshold

    @cached_property
    def steps(self) -> tuple[Step, ...]:
        check = (Step.CONSISTENCY_CHECK,) if self.active else ()
        return (Step.ADVERTISE_KEYS, Step.SHARE_KEYS, Step.MASKED_INPUT, *check, Step.UNMASKING)

    @property
    def leakage(self) -> tuple[tuple[str, str], ...]:
        collusion = f"the server with up to {self.colluders} colluding participants"
        rows = [
            ("the released sum, to the server", "the sum over the survivors, who survived, who vanished at which step"),
            ("other participants", "who takes part and who survives; not the sum, unless it is sent to them"),
            (collusion, "the sum over the survivors that do not collude"),
            (
                "a server and participants beyond that number",
                f"everything, once t = {self.quorum} share holders work together",
            ),
        ]
        if self.active:
            rows.append(("a server that departs from the protocol", "the same sum, or the round fails"))
        else:
            rows.append(
                (
                    "a server that departs from the protocol",
                    "any participant's vector (different survivor lists, isolation): the threshold does not help, "
                    'choose adversary="active"',
                )
            )
        return tuple(rows)

    @property
    def secrets(self) -> int:
        """Secrets each participant shares: its mask key, its self-mask seed, further seeds."""
        return 2 + self.further_seeds

    @property
    def share_bytes(self) -> int:
        """Bytes that one dealer seals for one holder."""
        proof = merkle.depth(self.participants) * merkle.HASH_BYTES if self.active else 0
        return self.secrets * shamir.SHARE_BYTES + proof

    @cached_property
    def sealed_bytes(self) -> int:
        """Bytes of one sealed share on the wire."""
        return self.share_bytes + AEAD_TAG_BYTES

    @cached_property
    def payload_limit(self) -> int:
        entry = 512 + merkle.HASH_BYTES * (self.secrets + 1)
        digests = self.secrets * merkle.HASH_BYTES if self.active else 0
        per_participant = max(entry, self.sealed_bytes + digests, shamir.SHARE_BYTES) + 16
        return max(BLOCK_BYTES, self.participants * per_participant) + 1024

    def _machines(self) -> tuple[type[BonawitzClient], type[BonawitzServer]]:
        from .client import BonawitzClient
        from .server import BonawitzServer

        return BonawitzClient, BonawitzServer
