"""LightSecAgg: the public parameters and the rules that derive and refuse them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import ClassVar

from ..core.exchange import Exchange
from ..core.guarantee import Adversary, Coalition, Guarantee, Keys, Traits
from ..core.policy import Policy
from ..core.scheme import Scheme
from ..core.secrets import Secret, Secrets, names, survived
from ..core.step import Step
from ..core.work import MeasuredRound, Work
from ..dealing.params import Dealing
from ..errors import ParameterError
from ..primitives.coded import CodedSharing
from .messages import EXCHANGE
from .packing import FieldPacking

MAX_DEALT_BYTES = 1 << 30

SECRETS = (Secret("sum_of_shares", survived, summed=True),)
"""The mask z_u, in coded shares."""


@dataclass(frozen=True)
class LightSecAgg(Dealing):
    """One mask per participant, shared in coded pieces; the sum of the masks is recovered in one shot (MLSys'22).

    participants: N. length: coordinates per vector. value_bits: each coordinate is in [0, 2^value_bits).
    colluders: T, participants that may pool what they hold, with the server; one holder alone never learns anything, so
    the code is made for at least 1. dropouts: D, how many may vanish. threshold: U, how many must finish.
    ciphersuite: "x25519" or "p256". The adversary is semi-honest: "active" is refused.

    T + D < N and T < U ≤ N − D. Given neither D nor U, what T leaves of N is halved: U = ⌊(N + T + 1) / 2⌋. Given one,
    the other is as large as it can be. Each participant deals N shares of about length / (U − T) elements: a larger U
    makes them smaller. Raises `ParameterError` with the bound that is violated.
    """

    dropouts: int | None = field(default=None, kw_only=True)

    name: ClassVar[str] = "lightsecagg"
    traits: ClassVar[Traits] = Traits(
        protects=True,
        adversaries=frozenset({Adversary.SEMI_HONEST}),
        keys=Keys.OWN,
        early_keys=True,
        opens=names(SECRETS),
    )
    exchange: ClassVar[Exchange] = EXCHANGE
    secrets: ClassVar[Secrets] = SECRETS
    upload_step: ClassVar[Step] = EXCHANGE.upload_step
    deal_step: ClassVar[Step] = Step.SHARE_MASKS
    opening_step: ClassVar[Step] = Step.UNMASKING

    def __post_init__(self) -> None:
        if self.active:
            raise ParameterError(
                'lightsecagg has no defence against a server that departs from the protocol: adversary="active" is '
                "refused; choose bonawitz"
            )
        Scheme.__post_init__(self)
        for name in ("colluders", "dropouts", "threshold"):
            if getattr(self, name) is not None:
                self.check_integer(name)
        self._check_company()
        self._check_dropouts_and_threshold()
        super().__post_init__()
        if self.participants * self.sealed_bytes > MAX_DEALT_BYTES:
            raise ParameterError(
                f"length={self.length}: each participant would deal {self.participants} shares of {self.share_bytes} "
                f"bytes, above {MAX_DEALT_BYTES} in all: lower length, or raise threshold={self.quorum}"
            )

    def _check_dropouts_and_threshold(self) -> None:
        n = self.participants
        privacy = self.privacy
        if self.dropouts is not None and not 0 <= self.dropouts < n - privacy:
            raise ParameterError(
                f"dropouts={self.dropouts} is not between 0 and N − T − 1 = {n - privacy - 1}: T + D < N must hold, "
                f"with T = {privacy} (colluders={self.colluders}) and N = {n}; lower dropouts or colluders"
            )
        most = n if self.dropouts is None else n - self.dropouts
        if self.threshold is None:
            object.__setattr__(self, "threshold", (n + privacy + 1) // 2 if self.dropouts is None else most)
        if not privacy < self.quorum <= most:
            raise ParameterError(
                f"threshold={self.quorum} is not between {privacy + 1} and {most}: T < U ≤ N − D must hold, with "
                f"T = {privacy} (colluders={self.colluders}), D = {self.dropouts or 0} and N = {n}"
            )
        if self.dropouts is None:
            object.__setattr__(self, "dropouts", n - self.quorum)

    def minimum_threshold(self, colluders: int) -> int:
        return max(1, colluders) + 1

    def check_policy(self, policy: Policy) -> None:
        super().check_policy(policy)
        if policy.colluders > self.privacy:
            raise ParameterError(
                f"this participant's policy asks for {policy.colluders} colluders; the masks are coded against "
                f"T = {self.privacy}: raise colluders"
            )

    @property
    def privacy(self) -> int:
        """T: any so many coded shares of a mask are independent of it."""
        return max(1, self.colluders)

    @property
    def leakage(self) -> tuple[tuple[str, str], ...]:
        return (
            ("the released sum, to the server", "the sum over the survivors, who survived, who vanished at which step"),
            ("other participants", "who takes part and who survives; not the sum, unless it is sent to them"),
            (
                f"the server with up to {self.privacy} colluding participants",
                "the sum over the survivors that do not collude",
            ),
            (
                "a server and participants beyond that number",
                f"parts of every mask; everything, from U = {self.quorum} share holders on",
            ),
            (
                "a server that departs from the protocol",
                "any participant's vector (different survivor lists, keys of its own): choose bonawitz with "
                'adversary="active"',
            ),
            (
                "a participant that departs from the protocol",
                f"nothing more, but it can spoil the sum: a wrong share is seen only when more than U = {self.quorum} "
                "answer",
            ),
        )

    @property
    def guarantee(self) -> Guarantee:
        return replace(super().guarantee, colluders=self.privacy)

    @property
    def opened_by(self) -> tuple[Coalition, ...]:
        everything = Coalition(self.quorum, "every vector")
        if self.privacy + 1 == self.quorum:
            return (everything,)
        return (Coalition(self.privacy + 1, "parts of every mask", partly=True), everything)

    def work(self, run: MeasuredRound) -> tuple[Work, Work]:
        # A client's mask with its T uniform pieces, and a channel to every peer. Coding and decoding are matrix
        # products, which are not counted; the server expands no mask.
        expanded = self.quorum * self.piece_length * self.packing.word_bytes
        peers = len(run.answered.get(Step.ADVERTISE_KEYS, ())) - 1
        return Work(peers, expanded), Work()

    @cached_property
    def packing(self) -> FieldPacking:
        """How a vector is laid into field elements; `packing.fields` are the fields, most often one."""
        return FieldPacking.of(self.domain)

    @cached_property
    def sharings(self) -> tuple[CodedSharing, ...]:
        """How masks are shared, in each field."""
        n = self.participants
        quorum = self.quorum
        pieces = self.pieces
        return tuple(CodedSharing(n, quorum, pieces, field) for field in self.packing.fields)

    @property
    def pieces(self) -> int:
        """U − T: pieces into which a mask is cut."""
        return self.quorum - self.privacy

    @cached_property
    def piece_length(self) -> int:
        """Elements of one piece, and of one coded share: as many of every field."""
        fields = len(self.packing.fields)
        return -(-self.packing.words // fields // self.pieces) * fields

    @property
    def share_bytes(self) -> int:
        """Bytes of one coded share."""
        return self.piece_length * self.packing.word_bytes

    @property
    def sum_bytes(self) -> int:
        """Bytes of a sum of coded shares."""
        return self.share_bytes
