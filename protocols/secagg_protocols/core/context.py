"""What one round is about."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import ParameterError
from .numbers import whole


@dataclass(frozen=True, slots=True)
class RoundContext:
    """What one round is about. Every party must hold the same one; it is bound into every key and signature.

    job: a name for the training job. round: its number; each is used once, and a participant's ledger takes none more
    than 2³² beyond its last. context_digest: 32 bytes over everything the participant was sent, as its trainer sees it
    (model, shared configuration, code); empty while that is not known yet (`Scheme.early_keys`).
    """

    job: str
    round: int
    context_digest: bytes

    def __post_init__(self) -> None:
        if not (isinstance(self.job, str) and isinstance(self.context_digest, bytes)):
            raise ParameterError("a round context needs job: str, round: int and context_digest: bytes")
        object.__setattr__(self, "round", whole("round", self.round))
        try:
            job_bytes = len(self.job.encode())
        except UnicodeEncodeError:
            raise ParameterError(f"job name {self.job!r} holds half a character (a surrogate); give text") from None
        if not 0 < job_bytes <= 256:
            raise ParameterError(f"job name of {job_bytes} bytes; give 1 to 256")
        if not 0 <= self.round < 1 << 63:
            raise ParameterError(f"round={self.round} is not between 0 and 2**63 - 1")
        if len(self.context_digest) not in (0, 32):
            raise ParameterError(f"context_digest has {len(self.context_digest)} bytes; give a 32-byte digest")

    @property
    def known(self) -> bool:
        """Whether it is known what the round is about."""
        return bool(self.context_digest)
