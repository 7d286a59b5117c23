"""The parameters and rules of every protocol that deals shares among all: colluders, threshold, steps."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar

from ..core.fields import longest, public_keys
from ..core.guarantee import Coalition, Guarantee, parse_adversary
from ..core.noise import Noise
from ..core.policy import Policy
from ..core.scheme import Scheme
from ..core.step import Step
from ..core.wire import Message
from ..errors import ParameterError
from ..primitives.randomness import Randomness
from .graph import CompleteGraph, Graph
from .messages import KeyEntry, KeyList

AEAD_TAG_BYTES = 16


@dataclass(frozen=True)
class Dealing(Scheme):
    """Base of schemes in which participants deal shares of their secrets, so that those who vanish are not missed.

    colluders: c, participants that may work with the server. threshold: t, how many must finish; derived when not
    given, refused when too small. early_keys: participants may advertise keys before the round's context is known, so
    that the keys of one round can ride with the messages of the round before. The context then enters with the session
    (docs/decisions/0007).

    Threshold rules: semi-honest t ≥ c + 1; active 2t > n + c, so that any two sets of t answers have an honest
    participant in common that speaks for one survivor set only. The derived threshold is at least a majority in
    both. Raises `ParameterError` with the bound that is violated.
    """

    colluders: int = field(default=0, kw_only=True)
    threshold: int | None = field(default=None, kw_only=True)
    early_keys: bool = field(default=False, kw_only=True)

    deal_step: ClassVar[Step] = Step.SHARE_KEYS
    opening_step: ClassVar[Step]

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("colluders", *(("threshold",) if self.threshold is not None else ())):
            self.check_integer(name)
        if not isinstance(self.early_keys, bool):
            raise ParameterError(f"early_keys={self.early_keys!r} is neither True nor False")
        if self.early_keys and not self.traits.early_keys:
            raise ParameterError(f"early_keys=True: {self.name} takes no keys that come early")
        self._check_company()
        minimum = self.minimum_threshold(self.colluders)
        if self.threshold is None:
            object.__setattr__(self, "threshold", max(minimum, self.participants // 2 + 1))
        if not minimum <= self.quorum <= self.participants:
            raise ParameterError(
                f"threshold={self.quorum} is not between {minimum} and participants={self.participants}: "
                f"{self.adversary} with colluders={self.colluders} needs at least {minimum}"
            )
        self._check_noise_is_met()

    def _check_noise_is_met(self) -> None:
        if not isinstance(self.noise, Noise):
            return
        if self.noise.colluders > self.colluders:
            raise ParameterError(
                f"noise: colluders={self.noise.colluders} is above the scheme's colluders={self.colluders}: raise those"
            )
        if self.noise.tolerated > self.participants - self.fewest_left:
            raise ParameterError(
                f"noise: tolerated={self.noise.tolerated} is above {self.participants - self.fewest_left}: "
                f"below {self.fewest_left} participants the round fails"
            )

    @property
    def fewest_left(self) -> int:
        """Fewest participants with which a round goes on until their vectors are in."""
        return self.quorum

    def _check_company(self) -> None:
        """Raise `ParameterError` unless there are honest participants for a sum to hide."""
        if self.participants < 2:
            raise ParameterError(f"participants={self.participants}: a secure sum needs at least 2")
        if not 0 <= self.colluders <= self.participants - 2:
            raise ParameterError(
                f"colluders={self.colluders} must be between 0 and participants − 2 = {self.participants - 2}: "
                "two honest participants are the least a sum can hide"
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

    @property
    def leakage(self) -> tuple[tuple[str, str], ...]:
        collusion = f"the server with up to {self.colluders} colluding participants"
        rows = [
            ("the released sum, to the server", "the sum over the survivors, who survived, who vanished at which step"),
            ("other participants", "who takes part and who survives; not the sum, unless it is sent to them"),
            (collusion, "the sum over the survivors that do not collude"),
            ("a server and participants beyond that number", self.beyond_threshold),
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
    def beyond_threshold(self) -> str:
        """What too many colluders learn, for `leakage`."""
        return f"everything, once t = {self.quorum} share holders work together"

    # --- the graph: here everyone shares keys and secrets with everyone

    knows_holders: ClassVar[bool] = True
    """Whether a participant knows to whom it deals before anyone's keys are known: then it deals and signs at once."""

    def draw_graph(self, members: tuple[int, ...], randomness: Randomness) -> Graph:
        """Return who shares keys and secrets with whom, once it is known whose keys have come (the server)."""
        return CompleteGraph(members)

    def reach(self, members: int) -> float:
        """Return how many of so many members share masks with any one of them, itself included."""
        return members

    def key_lists(self, graph: Graph, entries: Mapping[int, KeyEntry]) -> Iterator[tuple[tuple[int, ...], Any]]:
        """Yield (members of U₁, the list of keys that they are sent), from what each member advertised (the server)."""
        yield tuple(entries), KeyList(tuple(entries.values()))

    @property
    def fewest_listed(self) -> int:
        """Fewest participants that an honest server ever lists to one of them."""
        return self.quorum

    def told_absent(self, survivors: int) -> int | None:
        """Return how many are not in the sum, where a holder must be told; None where it sees so itself."""
        return None

    def listed(self, answered: Mapping[Step, tuple[int, ...]]) -> tuple[int, ...]:
        return tuple(sorted(answered.get(self.deal_step, ())))

    @property
    def guarantee(self) -> Guarantee:
        return Guarantee(
            adversary=parse_adversary(self.adversary),
            colluders=self.colluders,
            statistical_bits=None,
            opened_by=self.opened_by,
            sum_known_to="server",
        )

    @property
    @abstractmethod
    def opened_by(self) -> tuple[Coalition, ...]:
        """Who opens more than the sum, for `guarantee`."""

    @property
    @abstractmethod
    def share_bytes(self) -> int:
        """Bytes that one dealer seals for one holder."""

    # --- how long fields of messages are (`core.fields`)

    @property
    def tells_survivors(self) -> bool:
        return self.most_listed == self.participants

    @property
    def most_listed(self) -> int:
        """Most participants of whom one is ever told."""
        return self.participants

    @property
    def advertised_bytes(self) -> int:
        """Most bytes of an encoded AdvertiseKeys."""
        return longest(self._advertised, self)

    @property
    def share_digests_bytes(self) -> int:
        """Bytes of what a dealer tells the server about its shares."""
        return 0

    @property
    def ciphertexts_bytes(self) -> int:
        """Bytes with which a dealer answers all public keys of one holder: none where keys are agreed from them."""
        return public_keys(self._advertised) * self.suite.agreement.ciphertext_bytes

    @property
    def _advertised(self) -> type[Message]:
        return self.exchange.rows[0].answers[0].message

    @cached_property
    def sealed_bytes(self) -> int:
        """Bytes from one dealer for one holder on the wire: ciphertexts for its keys, and the sealed share."""
        return self.ciphertexts_bytes + self.share_bytes + AEAD_TAG_BYTES
