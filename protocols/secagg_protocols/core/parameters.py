"""The public parameters of a protocol, as one frozen value, and what it says of itself."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import ClassVar

from ..errors import SERVER, ParameterError, ProtocolViolation
from ..packing.blocks import BLOCK_BYTES
from ..packing.sums import Domain
from ..primitives.domain import Use, digest, frame
from ..primitives.suites import Ciphersuite, suite_named
from .context import RoundContext
from .exchange import Exchange
from .fields import longest_of
from .guarantee import Adversary, Guarantee, RoundView, Traits, parse_adversary
from .identity import Roster
from .noise import Noise, NoiseShare
from .numbers import fraction, whole
from .policy import Policy
from .secrets import Secrets, opened
from .step import Step
from .wire import check_participants, envelope_overhead
from .work import MeasuredRound, Work

_SIGNED_BITS = 63
"""Of the sums that are read as signed, with noise in them."""


@dataclass(frozen=True)
class Parameters(ABC):
    """All that the machines of a protocol go by, and what it promises. Frozen; equal ones have equal
    ids, whatever process made them.
    """

    participants: int
    length: int
    value_bits: int = field(default=16, kw_only=True)
    adversary: Adversary | str = field(default=Adversary.SEMI_HONEST, kw_only=True)
    ciphersuite: str = field(default="x25519", kw_only=True)
    noise: Noise | str | None = field(default=None, kw_only=True)
    """What participants add, so that the sum is private; its text stands for it."""

    name: ClassVar[str]
    traits: ClassVar[Traits]
    """What it can do, whatever its parameters. Each scheme says its own: none is inherited (`secagg.registry`)."""
    upload_step: ClassVar[Step]
    """The step whose message carries the vector."""
    removes_noise: ClassVar[bool] = False
    """Whether noise that turns out to be too much is taken off the sum again."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "adversary", parse_adversary(self.adversary))
        if self.active and Adversary.ACTIVE not in self.traits.adversaries:
            raise ParameterError(
                f"{self.name} is not made for a server that departs from the protocol: "
                'adversary="active" is refused; choose bonawitz'
            )
        for name in ("participants", "length", "value_bits"):
            self.check_integer(name)
        check_participants(self.participants)
        if not 1 <= self.length <= 1 << 40:
            raise ParameterError(f"length={self.length} is not between 1 and 2**40")
        if not 1 <= self.value_bits <= 63:
            raise ParameterError(f"value_bits={self.value_bits} is not between 1 and 63")
        if self.domain.sum_bits > 64:
            raise ParameterError(
                f"{self.participants} values of {self.value_bits} bits need a ring of {self.domain.sum_bits} bits; "
                "the largest is 64: lower value_bits"
            )
        suite_named(self.ciphersuite)
        self._check_noise()

    def _check_noise(self) -> None:
        if self.noise is None:
            return
        noise = Noise.of(self.noise)
        object.__setattr__(self, "noise", noise)
        if noise.colluders and "colluders" not in {item.name for item in fields(self)}:
            raise ParameterError(
                f"noise: colluders={noise.colluders}, and {self.name} withstands none: whoever helps its server opens "
                "every vector; choose bonawitz, or colluders=0"
            )
        if self.domain.sum_bits > _SIGNED_BITS:
            raise ParameterError(
                f"noise: sums may be negative, and {self.participants} values of {self.value_bits} bits need more than "
                f"{_SIGNED_BITS} bits: lower value_bits"
            )
        bound = noise.share(self.participants, self.removes_noise).bound
        if self.domain.largest < 1:
            raise ParameterError(
                f"value_bits={self.value_bits} is too few for noise of up to ±{bound}: give at least "
                f"{(2 * bound + 1).bit_length()}, and more for the values themselves"
            )

    def check_integer(self, name: str) -> None:
        """Make a parameter a plain int. Raises `ParameterError` when it is not an integer."""
        object.__setattr__(self, name, whole(name, getattr(self, name)))

    def check_fraction(self, name: str) -> None:
        """Make a parameter a plain float, never −0. Raises `ParameterError` when it is not a number."""
        object.__setattr__(self, name, fraction(name, getattr(self, name)))

    @property
    def early_keys(self) -> bool:
        """Whether participants may advertise keys before the round's context is known."""
        return False

    @cached_property
    def domain(self) -> Domain:
        """The integers it sums."""
        bound = 0 if self.noise_share is None else self.noise_share.bound
        return Domain(self.participants, self.length, self.value_bits, bound)

    @cached_property
    def noise_share(self) -> NoiseShare | None:
        """What each participant adds; None where there is no noise."""
        if self.noise is None:
            return None
        return Noise.of(self.noise).share(self.participants, self.removes_noise)

    @property
    def layers(self) -> int:
        """L, how many layers of a participant's noise can be taken off again."""
        return 0 if self.noise_share is None else len(self.noise_share.layers)

    @property
    def fewest_with_noise(self) -> int:
        """Fewest survivors whose noise is what was promised; 0 where there is none."""
        return 0 if self.noise is None else self.participants - Noise.of(self.noise).tolerated

    @cached_property
    def suite(self) -> Ciphersuite:
        """The ciphersuite's value."""
        return suite_named(self.ciphersuite)

    @cached_property
    def id(self) -> bytes:
        """32 bytes that name the protocol and every public parameter."""
        said = {item.name: str(getattr(self, item.name)) for item in fields(self)}
        if self.noise_share is None:
            del said["noise"]
        else:  # the tables, too: both ends must draw alike
            said["noise"] += f" tables={self.noise_share.digest.hex()}"
        return digest(Use.SCHEME_ID, self.name, *(frame(name, value) for name, value in said.items()))

    @cached_property
    def active(self) -> bool:
        """Whether it is made for a server that may do anything."""
        return self.adversary == Adversary.ACTIVE

    def address(self, context: RoundContext, roster: Roster | None) -> bytes:
        """Return the 32 bytes by which a message of this round is recognised before there is a session."""
        roster_digest = roster.digest if roster is not None else b""
        return digest(Use.ADDRESS, self.id, self.suite.id, roster_digest, context.job, context.round)

    @cached_property
    def envelope_limit(self) -> int:
        """Longest envelope any party of this scheme may send, in bytes: give it to `Envelope.from_bytes`."""
        return self.payload_limit + envelope_overhead(self.suite)

    @property
    @abstractmethod
    def quorum(self) -> int:
        """Fewest answers with which the server may close a step: the threshold t, where the protocol has one."""

    @abstractmethod
    def minimum_threshold(self, colluders: int) -> int:
        """Return the smallest threshold that is safe against the server together with `colluders` participants."""

    def floor(self, policy: Policy) -> int:
        """Return the fewest participants, itself included, in a sum that a participant with this policy joins."""
        return max(self.quorum, policy.minimum_cohort + policy.colluders)

    def needed(self, step: Step) -> int:
        """Return the fewest answers with which the server may close a step."""
        late = self.steps.index(step) > self.steps.index(self.upload_step)
        return self.quorum if late else max(self.quorum, self.fewest_with_noise)

    def check_dropouts(self, survivors: int) -> None:
        """A participant's check of how many are in a sum: raise `ProtocolViolation` where their noise is too little."""
        if survivors < self.fewest_with_noise:
            raise ProtocolViolation(
                f"{survivors} of {self.participants} are in the sum; with fewer than {self.fewest_with_noise} there is "
                "less noise in it than was promised",
                {SERVER},
            )

    def why_needed(self, step: Step) -> str:
        """Say why more answers than the quorum are needed, for who has too few; empty where they are not."""
        if self.needed(step) == self.quorum or self.noise is None:
            return ""
        tolerated = Noise.of(self.noise).tolerated
        return f"the noise is made for tolerated={tolerated} dropouts: with more the sum would be less private"

    def check_policy(self, policy: Policy) -> None:
        """Raise `ParameterError` unless this scheme is at least what a participant's own policy asks for."""
        policy.check_participants(self.participants)
        if policy.adversary == Adversary.ACTIVE and not self.active:
            raise ParameterError("this participant's policy asks for an active adversary; the scheme is semi-honest")
        minimum = self.minimum_threshold(policy.colluders)
        if self.quorum < minimum:
            raise ParameterError(
                f"threshold={self.quorum} is below {minimum}, which this participant's policy needs "
                f"against {policy.colluders} colluders: raise the threshold"
            )
        if self.floor(policy) > self.participants:
            raise ParameterError(
                f"this participant's policy asks for {self.floor(policy)} participants in a sum; "
                f"the scheme has {self.participants}: raise participants"
                + (f", or lower colluders = {policy.colluders}" if policy.colluders else "")
            )

    @property
    @abstractmethod
    def exchange(self) -> Exchange:
        """All that is sent, whatever the adversary: the machines' tables follow from it."""

    @property
    def steps(self) -> tuple[Step, ...]:
        """The steps in order: what a participant sends, each closed by the server."""
        return self.exchange.against(self.adversary).steps

    @property
    def share_bytes(self) -> int:
        """Bytes that one dealer seals for one holder: 0 where no shares are dealt."""
        return 0

    @property
    def block_bytes(self) -> int:
        """Most bytes of one block of an upload."""
        return BLOCK_BYTES

    @cached_property
    def payload_limit(self) -> int:
        """Longest payload that any message of this scheme may have, in bytes: it follows from their fields."""
        return longest_of(self.exchange.messages, self)

    @property
    @abstractmethod
    def leakage(self) -> tuple[tuple[str, str], ...]:
        """Who learns what, as rows (who, what)."""

    @property
    @abstractmethod
    def guarantee(self) -> Guarantee:
        """What it promises, as it was made."""

    def listed(self, answered: Mapping[Step, tuple[int, ...]]) -> tuple[int, ...]:
        """Return whose secrets the others hold shares of, ascending: nobody's where no shares are dealt.

        answered: step that is closed → who completed it.
        """
        return ()

    def opened(self, view: RoundView) -> dict[str, tuple[int, ...]]:
        """Return which secrets a round reconstructed, and of whom. For the audit: nothing is opened unsaid.

        Raises `ParameterError` for a secret that `traits` do not declare.
        """
        found = opened(self.secrets, view.listed, view.survivors)
        if undeclared := sorted(found.keys() - self.traits.opens):
            raise ParameterError(f"{self.name} opens {undeclared[0]!r}, which its traits do not declare: add it there")
        return found

    @property
    @abstractmethod
    def secrets(self) -> Secrets:
        """What participants share among each other, and when it is put together; nothing where no shares are dealt."""

    @property
    def tells_survivors(self) -> bool:
        """Whether each participant is told all whose vectors are in a sum, before it helps to open it."""
        return False

    @abstractmethod
    def work(self, run: MeasuredRound) -> tuple[Work, Work]:
        """Return the unavoidable work of one surviving client and of the server: `Work()` where none is counted."""
