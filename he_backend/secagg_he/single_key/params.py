"""Ckks and Bfv: the public parameters and the rules that derive and refuse them."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import ClassVar

from secagg_protocols.core.exchange import Exchange
from secagg_protocols.core.guarantee import Adversary, Coalition, Guarantee, Keys, Traits, parse_adversary
from secagg_protocols.core.policy import Policy
from secagg_protocols.core.scheme import Scheme
from secagg_protocols.core.secrets import Secrets
from secagg_protocols.core.step import Step
from secagg_protocols.core.wire import check_participants
from secagg_protocols.core.work import MeasuredRound, Work
from secagg_protocols.errors import ParameterError
from secagg_protocols.packing.blocks import BLOCK_BYTES
from secagg_protocols.primitives.randomness import SYSTEM, Randomness

from ..envelope import OVERHEAD
from ..group_key import GroupKey, GroupKeyHandle, make_group_key
from ..parameters import Kind, Need, Parameters, derive
from .messages import EXCHANGE
from .packing import Packing

MIN_FLOODING_BITS = 30
_MAX_FLOODING_BITS = 128
_MAX_RELEASES = 1 << 32
_MAX_RAW_PRECISION = 1 << 40
_MAX_LENGTH = 1 << 40
_RELEASES = 1000

SERVER = "server"
PARTICIPANTS = "participants"
"""Who gets the sum."""


@dataclass(frozen=True)
class SingleKey(Scheme):
    """What Ckks and Bfv share: participants encrypt under one group key, the server adds, participants release the sum.

    participants: n. length: coordinates per vector. value_bits: each coordinate is in [0, 2^value_bits).
    threshold: fewest participants in a sum; n − threshold + 1 survivors, in turns, are sent the aggregate, so that a
    release survives as many dropouts. releases: sums that a participant releases under one group key. flooding_bits: s,
    the statistical security of all releases together. The adversary is semi-honest: "active" is refused.
    max_participants, max_length: what the group key is made for: at least as many as ever hold it, and the longest
    vector; a smaller cohort and a shorter vector take the same key. By default this round's.
    release_to: "server", or "participants", who then keep the sum to themselves; nothing is flooded or counted then, so
    `releases` and `flooding_bits` are 0.

    Ring, modulus and noise are derived (`parameters`); `ParameterError` says what does not fit, and the remedy.
    """

    threshold: int | None = field(default=None, kw_only=True)
    releases: int = field(default=_RELEASES, kw_only=True)
    flooding_bits: int = field(default=MIN_FLOODING_BITS, kw_only=True)
    max_participants: int | None = field(default=None, kw_only=True)
    max_length: int | None = field(default=None, kw_only=True)
    release_to: str = field(default=SERVER, kw_only=True)

    kind: ClassVar[Kind]
    colluders: ClassVar[int] = 0
    exchange: ClassVar[Exchange] = EXCHANGE
    secrets: ClassVar[Secrets] = ()  # the sum is decrypted by those who hold the key; no secret is put together
    upload_step: ClassVar[Step] = EXCHANGE.upload_step

    def __post_init__(self) -> None:
        if self.active:
            raise ParameterError(
                f"{self.name} has one key, and a server that departs from the protocol could have one participant's "
                'vector released as if it were a sum; adversary="active" is refused, choose bonawitz'
            )
        super().__post_init__()
        if self.participants < 2:
            raise ParameterError(f"participants={self.participants}: a secure sum needs at least 2")
        self._check_release()
        if self.threshold is None:
            object.__setattr__(self, "threshold", self.participants // 2 + 1)
        self.check_integer("threshold")
        self._check_range("threshold", 2, self.participants)
        self._check_maximum("max_participants", "participants")
        self._check_maximum("max_length", "length")
        check_participants(self.need.participants)
        self._check_range("max_length", 1, _MAX_LENGTH)
        if self.need.sum_bits > 64:
            raise ParameterError(
                f"max_participants={self.max_participants}: so many values of {self.value_bits} bits need a ring of "
                f"{self.need.sum_bits} bits; the largest is 64: lower value_bits"
            )
        _ = self.parameters

    def _check_release(self) -> None:
        if self.release_to not in (SERVER, PARTICIPANTS):
            raise ParameterError(f"release_to={self.release_to!r} is neither {SERVER!r} nor {PARTICIPANTS!r}")
        if not self.to_participants:
            self._check_range("releases", 1, _MAX_RELEASES)
            self._check_range("flooding_bits", MIN_FLOODING_BITS, _MAX_FLOODING_BITS)
            return
        self._leave_out("releases", _RELEASES)
        self._leave_out("flooding_bits", MIN_FLOODING_BITS)

    def _leave_out(self, name: str, default: int) -> None:
        """Set to 0 what release_to="participants" has no use for. Raises `ParameterError` when it was asked for."""
        if getattr(self, name) not in (0, default):
            raise ParameterError(
                f"{name}={getattr(self, name)}: with release_to={PARTICIPANTS!r} sums are exact and nothing leaves "
                f"those who hold the key; leave {name} out"
            )
        object.__setattr__(self, name, 0)

    def _check_maximum(self, name: str, actual: str) -> None:
        if getattr(self, name) is None:
            object.__setattr__(self, name, getattr(self, actual))
        self.check_integer(name)
        if getattr(self, name) < getattr(self, actual):
            raise ParameterError(
                f"{actual}={getattr(self, actual)} is above {name}={getattr(self, name)}, which the group key is made "
                f"for: make a group key for more (`secagg group-key new`)"
            )

    def _check_range(self, name: str, least: int, most: int) -> None:
        self.check_integer(name)
        if not least <= getattr(self, name) <= most:
            raise ParameterError(f"{name}={getattr(self, name)} is not between {least} and {most}")

    @property
    def to_participants(self) -> bool:
        """Whether the sum stays among the participants."""
        return self.release_to == PARTICIPANTS

    @property
    def raw_precision(self) -> int:
        """How far a coordinate of a sum may be off; 0 where sums are exact."""
        return 0

    @cached_property
    def need(self) -> Need:
        """What the group key is for: parameters follow from it, and not from who is there in this round."""
        assert self.max_participants is not None
        assert self.max_length is not None
        n = self.max_participants
        length = self.max_length
        bits = self.value_bits
        return Need(self.kind, n, length, bits, self.releases, self.flooding_bits, self.raw_precision)

    @cached_property
    def parameters(self) -> Parameters:
        """Ring, modulus, packing and noise."""
        return derive(self.need)

    @cached_property
    def packing(self) -> Packing:
        """How a vector is laid into plaintexts."""
        return Packing(self.parameters, self.domain)

    def make_group_key(self, randomness: Randomness = SYSTEM) -> tuple[GroupKey, GroupKeyHandle]:
        """Make (what every participant holds, what the server holds). One participant runs it; again: rotation."""
        key = make_group_key(self.need, randomness)
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

    @property
    def tells_survivors(self) -> bool:
        return True

    def releasers(self, survivors: tuple[int, ...], round_number: int) -> tuple[int, ...]:
        """Return who is sent the aggregate: enough that one is among any `threshold` survivors that answer.

        They take turns, by the number of the round: work and budget are shared. All, where the sum is for all.
        """
        if self.to_participants:
            return survivors
        first = (round_number - 1) % len(survivors)
        turn = (survivors[first:] + survivors[:first])[: self.participants - self.quorum + 1]
        return tuple(sorted(turn))

    @property
    def leakage(self) -> tuple[tuple[str, str], ...]:
        if self.to_participants:
            return self._leakage_to_participants
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
    def _leakage_to_participants(self) -> tuple[tuple[str, str], ...]:
        return (
            ("the server", "who survived, who vanished at which step; not the sum, unless a participant tells"),
            (
                "other participants",
                "the sum over the survivors, and who they are, as the server names them; any vector whose ciphertext "
                "it comes by, as everyone holds the key",
            ),
            ("the server with one colluding participant", "every participant's vector: choose bonawitz"),
            (
                "a server that departs from the protocol",
                "by itself whether what it made up opens to a possible sum, as participants refuse otherwise: bit by "
                "bit any vector; and it can have them open one vector, or another sum, in the place of the sum: choose "
                "bonawitz",
            ),
        )

    @property
    def guarantee(self) -> Guarantee:
        return Guarantee(
            adversary=parse_adversary(self.adversary),
            colluders=0,
            statistical_bits=self.flooding_bits or None,  # nothing is flooded where no sum leaves those with the key
            opened_by=(Coalition(1, "every vector"),),
            sum_known_to="participants" if self.to_participants else "server, releasers",
        )

    def work(self, run: MeasuredRound) -> tuple[Work, Work]:
        return Work(), Work()  # the raw cryptography of ciphertexts is not timed

    @property
    def ciphertexts(self) -> int:
        """Ciphertexts in one upload of this round."""
        return self.packing.ciphertexts

    @property
    def fresh_rows(self) -> int:
        """Ciphertexts in one block of an upload."""
        return max(1, BLOCK_BYTES // self.parameters.fresh_bytes)

    @property
    def fresh_blocks(self) -> int:
        """Blocks of one upload."""
        return -(-self.ciphertexts // self.fresh_rows)

    @property
    def aggregate_rows(self) -> int:
        """Ciphertexts in one block of the aggregate."""
        return max(1, BLOCK_BYTES // (2 * self.parameters.polynomial_bytes))

    @property
    def aggregate_blocks(self) -> int:
        """Blocks of the aggregate, and of what is released."""
        return -(-self.ciphertexts // self.aggregate_rows)

    @property
    def block_bytes(self) -> int:
        return max(BLOCK_BYTES, 2 * self.parameters.polynomial_bytes) + OVERHEAD


@dataclass(frozen=True)
class Bfv(SingleKey):
    """Exact integer sums under BFV (Brakerski 2012; Fan and Vercauteren 2012), with one key that participants share."""

    name: ClassVar[str] = "bfv"
    traits: ClassVar[Traits] = Traits(
        protects=True,
        adversaries=frozenset({Adversary.SEMI_HONEST}),
        keys=Keys.GROUP,
        early_keys=False,
        opens=frozenset(),
    )
    kind: ClassVar[Kind] = "bfv"


@dataclass(frozen=True)
class Ckks(SingleKey):
    """Exact integer sums under CKKS (Cheon, Kim, Kim and Song 2017), with one key that the participants share.

    The scale Δ is more than twice the bound on all errors, flooding included, so rounding takes them away: sums are the
    right integers but for a probability of 2⁻⁴⁰ a round (NOTATION, "Exact sums").

    raw_precision: 0; or, to compare with CKKS as others use it, how far any coordinate of a sum may be off, in units of
    the integers summed: the larger, the smaller the ciphertexts. No codec takes such sums, and they are for the server
    alone: release_to="participants" is refused.
    """

    raw_precision: int = field(default=0, kw_only=True)

    name: ClassVar[str] = "ckks"
    traits: ClassVar[Traits] = Traits(
        protects=True,
        adversaries=frozenset({Adversary.SEMI_HONEST}),
        keys=Keys.GROUP,
        early_keys=False,
        opens=frozenset(),
    )
    kind: ClassVar[Kind] = "ckks"

    def __post_init__(self) -> None:
        self._check_range("raw_precision", 0, _MAX_RAW_PRECISION)
        if self.to_participants:
            self._leave_out("raw_precision", 0)
        super().__post_init__()
