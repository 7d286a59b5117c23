"""Ckks and Bfv: the public parameters and the rules that derive and refuse them."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

from secagg_protocols.blocks import BLOCK_BYTES
from secagg_protocols.errors import ParameterError
from secagg_protocols.randomness import SYSTEM, Randomness
from secagg_protocols.scheme import Policy, Scheme, Step

from ..envelope import OVERHEAD
from ..group_key import GroupKey, GroupKeyHandle, make_group_key
from ..parameters import Kind, Need, Parameters, derive
from .packing import Packing

if TYPE_CHECKING:
    from .client import SingleKeyClient
    from .server import SingleKeyServer

MIN_FLOODING_BITS = 30
_MAX_FLOODING_BITS = 128
_MAX_RELEASES = 1 << 32
_MAX_PRECISION = 1 << 40


@dataclass(frozen=True)
class SingleKey(Scheme):
    """What Ckks and Bfv share: participants encrypt under one group key, the server adds, participants release the sum.

    participants: n. length: coordinates per vector. value_bits: each coordinate is in [0, 2^value_bits).
    threshold: fewest participants in a sum; the first n − threshold + 1 survivors are sent the aggregate, so that a
    release survives as many dropouts. releases: sums that a participant releases under one group key. flooding_bits: s,
    the statistical security of all releases together. The adversary is semi-honest: "active" is refused.

    Ring, modulus and noise are derived (`parameters`); `ParameterError` says what does not fit, and the remedy.
    """

    threshold: int | None = field(default=None, kw_only=True)
    releases: int = field(default=1000, kw_only=True)
    flooding_bits: int = field(default=MIN_FLOODING_BITS, kw_only=True)

    kind: ClassVar[Kind]
    colluders: ClassVar[int] = 0
    upload_step: ClassVar[Step] = Step.ENCRYPT

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.active:
            raise ParameterError(
                f"{self.name} has one key, and a server that departs from the protocol could have one participant's "
                'vector released as if it were a sum; adversary="active" is refused, choose bonawitz'
            )
        if self.participants < 2:
            raise ParameterError(f"participants={self.participants}: a secure sum needs at least 2")
        if self.threshold is None:
            object.__setattr__(self, "threshold", self.participants // 2 + 1)
        self.check_integer("threshold")
        self._check_range("threshold", 2, self.participants)
        self._check_range("releases", 1, _MAX_RELEASES)
        self._check_range("flooding_bits", MIN_FLOODING_BITS, _MAX_FLOODING_BITS)
        _ = self.parameters

    def _check_range(self, name: str, least: int, most: int) -> None:
        self.check_integer(name)
        if not least <= getattr(self, name) <= most:
            raise ParameterError(f"{name}={getattr(self, name)} is not between {least} and {most}")

    @cached_property
    def parameters(self) -> Parameters:
        """Ring, modulus, packing and noise."""
        wanted = int(self.precision)
        n, bits = self.participants, self.value_bits
        return derive(Need(self.kind, n, self.length, bits, self.releases, self.flooding_bits, wanted))

    @cached_property
    def packing(self) -> Packing:
        """How a vector is laid into plaintexts."""
        return Packing(self.parameters, self.domain)

    def make_group_key(self, randomness: Randomness = SYSTEM) -> tuple[GroupKey, GroupKeyHandle]:
        """Make (what every participant holds, what the server holds). One participant runs it; again: rotation."""
        key = make_group_key(self.parameters, randomness)
        return key, key.handle

    @property
    def quorum(self) -> int:
        assert self.threshold is not None
        return self.threshold

    def minimum_threshold(self, colluders: int) -> int:
        return 2

    def check_policy(self, policy: Policy) -> None:
        super().check_policy(policy)
        if policy.colluders:
            raise ParameterError(
                f"this participant's policy asks for {policy.colluders} colluders; with {self.name} one participant "
                "and the server together open every ciphertext: choose bonawitz"
            )

    def releasers(self, survivors: tuple[int, ...]) -> tuple[int, ...]:
        """Return who is sent the aggregate: enough that one is among any `threshold` survivors that answer."""
        return survivors[: self.participants - self.quorum + 1]

    @cached_property
    def steps(self) -> tuple[Step, ...]:
        return (Step.ENCRYPT, Step.RELEASE)

    @property
    def leakage(self) -> tuple[tuple[str, str], ...]:
        return (
            ("the released sum, to the server", "the sum over the survivors, who survived, who vanished at which step"),
            (
                "other participants",
                "the sum, as far as they release it, and who survives; any vector whose ciphertext they come by, as "
                "everyone holds the key",
            ),
            ("the server with one colluding participant", "every participant's vector: choose bonawitz"),
            (
                "a server that departs from the protocol",
                "any participant's vector (it can have one ciphertext released as an aggregate): choose bonawitz",
            ),
        )

    @property
    def fresh_rows(self) -> int:
        """Ciphertexts in one block of an upload."""
        return max(1, BLOCK_BYTES // self.parameters.fresh_bytes)

    @property
    def fresh_blocks(self) -> int:
        """Blocks of one upload."""
        return -(-self.parameters.ciphertexts // self.fresh_rows)

    @property
    def aggregate_rows(self) -> int:
        """Ciphertexts in one block of the aggregate."""
        return max(1, BLOCK_BYTES // (2 * self.parameters.polynomial_bytes))

    @property
    def aggregate_blocks(self) -> int:
        """Blocks of the aggregate, and of what is released."""
        return -(-self.parameters.ciphertexts // self.aggregate_rows)

    @cached_property
    def payload_limit(self) -> int:
        block = max(BLOCK_BYTES, 2 * self.parameters.polynomial_bytes) + OVERHEAD
        return max(block, 5 * self.participants + 34 * self.aggregate_blocks) + 1024

    def _machines(self) -> tuple[type[SingleKeyClient], type[SingleKeyServer]]:
        from .client import SingleKeyClient
        from .server import SingleKeyServer

        return SingleKeyClient, SingleKeyServer


@dataclass(frozen=True)
class Bfv(SingleKey):
    """Exact integer sums under BFV (Brakerski 2012; Fan and Vercauteren 2012), with one key that participants share."""

    name: ClassVar[str] = "bfv"
    kind: ClassVar[Kind] = "bfv"


@dataclass(frozen=True)
class Ckks(SingleKey):
    """Sums under CKKS (Cheon, Kim, Kim and Song 2017), rounded, with one key that the participants share.

    precision: largest error of any coordinate of a sum, in units of the integers summed (1 …): the larger, the smaller
    the ciphertexts. A bound over all coordinates together, but for a probability of 2⁻⁴⁰.
    """

    precision: int = field(default=4, kw_only=True)

    name: ClassVar[str] = "ckks"
    kind: ClassVar[Kind] = "ckks"

    def __post_init__(self) -> None:
        self._check_range("precision", 1, _MAX_PRECISION)
        super().__post_init__()
