"""A scheme: the protocol and all its public parameters, as one frozen value. Everything else is made from it."""

from __future__ import annotations

import math
import operator
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field, fields
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError, ParameterError
from ..packing.lanes import Lanes, Words
from ..primitives.domain import Use, digest, frame
from ..primitives.randomness import SYSTEM, Randomness
from ..primitives.suites import Ciphersuite, suite_named
from .guarantee import Adversary as Adversary
from .guarantee import Guarantee, Traits
from .guarantee import parse_adversary as parse_adversary
from .identity import Identity, Roster
from .wire import ENVELOPE_OVERHEAD, check_participants
from .work import Work

if TYPE_CHECKING:
    from .ledger import ContributionLedger
    from .machine import Client, Server


class Step(StrEnum):
    """A step of a protocol, in its paper's word. The word is the same on the wire, in reports and in the docs."""

    SUM = "Sum"
    ADVERTISE_KEYS = "AdvertiseKeys"
    SHARE_KEYS = "ShareKeys"
    SHARE_MASKS = "ShareMasks"
    MASKED_INPUT = "MaskedInput"
    CONSISTENCY_CHECK = "ConsistencyCheck"
    UNMASKING = "Unmasking"
    ENCRYPT = "Encrypt"
    OPENING = "Opening"
    RELEASE = "Release"


def whole(name: str, value: object) -> int:
    """Return a parameter as a plain int: equal values must look equal. Raises `ParameterError` for no integer."""
    try:
        return int(operator.index(value))  # type: ignore[arg-type]
    except TypeError:
        raise ParameterError(f"{name}={value!r} is not an integer") from None


class RoundView(Protocol):
    """What one party saw of a round, as far as it bears on what was opened. Both ascending.

    listed: whose secrets the others hold shares of (`Scheme.listed`). survivors: whose vectors are in the sum; nobody
    where there is none.
    """

    @property
    def listed(self) -> tuple[int, ...]: ...
    @property
    def survivors(self) -> tuple[int, ...]: ...


class MeasuredRound(Protocol):
    """A round that was counted. answered: step that is closed → who completed it. bytes_sent, bytes_received:
    participant → encoded envelopes.
    """

    @property
    def answered(self) -> Mapping[Step, tuple[int, ...]]: ...
    @property
    def bytes_sent(self) -> Mapping[int, int]: ...
    @property
    def bytes_received(self) -> Mapping[int, int]: ...


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


@dataclass(frozen=True, slots=True)
class Policy:
    """A participant's own floor. Local: nothing the server sends can lower it, and no restart.

    minimum_cohort: fewest honest participants of the local roster, itself included, in any sum it joins (at least 2).
    colluders: how many others it wants to be safe from; they count on top of the cohort, and the scheme's threshold
    must satisfy the rule for them.
    adversary: the weakest server model it accepts.
    reruns: how often it answers again for one context, so that a round that failed late can be repeated. Each is a
    release, to be charged to the privacy budget: without noise, two sums over the same model may differ by one vector.
    maximum_participants: most participants of a round that it works for; cost and memory grow with them.

    `Plain` keeps no floor, so it passes only where a policy asks for nothing above these defaults.
    """

    minimum_cohort: int = 3
    colluders: int = 0
    adversary: Adversary | str = Adversary.SEMI_HONEST
    reruns: int = 0
    maximum_participants: int = 10_000

    def __post_init__(self) -> None:
        object.__setattr__(self, "adversary", parse_adversary(self.adversary))
        for name in ("minimum_cohort", "colluders", "reruns", "maximum_participants"):
            value = whole(name, getattr(self, name))
            if not 0 <= value <= _LARGEST_LIMIT:
                raise ParameterError(f"{name}={value} is not between 0 and {_LARGEST_LIMIT}")
            object.__setattr__(self, name, value)
        if self.minimum_cohort < 2:
            raise ParameterError(
                f"minimum_cohort={self.minimum_cohort}: a sum of one is that participant's vector; give 2 or more"
            )
        if self.maximum_participants < 2:
            raise ParameterError(f"maximum_participants={self.maximum_participants}: no sum hides one; give 2 or more")

    def check_participants(self, participants: int) -> None:
        """Raise `ParameterError` for a round of more participants than this one works for.

        Ask before a scheme is made for so many: some derive their parameters at a cost that grows with them.
        """
        if participants > self.maximum_participants:
            raise ParameterError(
                f"participants={participants} is above maximum_participants={self.maximum_participants}, the most that "
                "this participant works for: raise it if that cost is wanted"
            )

    def check_keeps(self, earlier: Policy) -> None:
        """Raise `ParameterError` unless this policy asks for all that `earlier` asked for."""
        raised = {"minimum_cohort", "colluders"}
        for name in ("minimum_cohort", "colluders", "reruns", "maximum_participants"):
            mine, before = getattr(self, name), getattr(earlier, name)
            if mine < before if name in raised else mine > before:
                raise _weakened(name, mine, before)
        if earlier.adversary == Adversary.ACTIVE and self.adversary != Adversary.ACTIVE:
            raise _weakened("adversary", self.adversary, earlier.adversary)


_LARGEST_LIMIT = 1 << 32


def _weakened(name: str, mine: object, before: object) -> ParameterError:
    return ParameterError(
        f"{name}={mine} weakens the policy with which this participant began the round ({before}): leave policy= out, "
        "or give that one or a stricter one"
    )


@dataclass(frozen=True)
class Domain:
    """What a scheme sums: `length` integers per participant, each in [0, 2^value_bits), exactly."""

    participants: int
    length: int
    value_bits: int

    @cached_property
    def sum_bits(self) -> int:
        """Bits of the smallest ring that holds every possible sum: no sum can wrap."""
        return (self.participants * ((1 << self.value_bits) - 1)).bit_length()

    @cached_property
    def lanes(self) -> Lanes:
        """How the sums are packed."""
        return Lanes.of(self.length, self.sum_bits)

    def check(self, vector: NDArray[np.generic]) -> NDArray[np.integer]:
        """Return the vector if it can be summed. Raises `InputError` naming what is wrong and the remedy."""
        try:
            array = np.asarray(vector)
        except ValueError as error:
            raise InputError(f"the vector is no array: {error}") from None
        if array.dtype.kind not in "iu":
            raise InputError(
                f"vector has dtype {array.dtype}; secure sums are over integers: encode it with secagg.codec first"
            )
        if array.shape != (self.length,):
            raise InputError(f"vector has shape {array.shape}; the scheme was made for length={self.length}")
        if array.dtype.kind == "u" and 8 * array.dtype.itemsize <= self.value_bits:
            return array  # no value of this type is out of range
        low, high = int(array.min()), int(array.max())
        if low < 0 or high >> self.value_bits:
            value = low if low < 0 else high
            raise InputError(f"value {value} is outside [0, 2**{self.value_bits}); scale it down or raise value_bits")
        return array


_PART_WORDS = 1 << 17


@dataclass(frozen=True, eq=False)
class Output:
    """The result of a round. survivors: whose vectors are in the sum, ascending.

    words: the sum, packed by `lanes`; without lanes, the sum itself. Read `total`, or `parts` where 8 bytes for every
    coordinate are too many to hold at once.
    """

    words: Words
    survivors: tuple[int, ...]
    lanes: Lanes | None = None

    @cached_property
    def total(self) -> NDArray[np.uint64]:
        """The sum: uint64, shape (length,). Unpacked when it is first asked for, and kept."""
        return self.words if self.lanes is None else self.lanes.unpack(self.words)

    def parts(self) -> Iterator[tuple[int, NDArray[np.uint64]]]:
        """Yield (number of its first coordinate, sums) over the whole sum, a piece at a time."""
        lanes = self.lanes or Lanes.of(self.words.size, 64)
        yield from lanes.unpack_parts(self.words, _PART_WORDS)


@dataclass(frozen=True)
class Scheme(ABC):
    """Base of all schemes. Frozen; equal schemes have equal ids, whatever process made them.

    early_keys: participants may advertise keys before the round's context is known, so that the keys of one round can
    ride with the messages of the round before. The context then enters with the session (docs/decisions/0007).
    """

    participants: int
    length: int
    value_bits: int = field(default=16, kw_only=True)
    adversary: Adversary | str = field(default=Adversary.SEMI_HONEST, kw_only=True)
    ciphersuite: str = field(default="x25519", kw_only=True)
    early_keys: bool = field(default=False, kw_only=True)

    name: ClassVar[str]
    traits: ClassVar[Traits]
    """What it can do, whatever its parameters. Each scheme says its own: none is inherited (`secagg.registry`)."""
    upload_step: ClassVar[Step]
    """The step whose message carries the vector."""

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
        if not isinstance(self.early_keys, bool):
            raise ParameterError(f"early_keys={self.early_keys!r} is neither True nor False")
        if self.early_keys and not self.traits.early_keys:
            raise ParameterError(f"early_keys=True: participants of {self.name} advertise no keys")

    def check_integer(self, name: str) -> None:
        """Make a parameter a plain int. Raises `ParameterError` when it is not an integer."""
        object.__setattr__(self, name, whole(name, getattr(self, name)))

    def check_fraction(self, name: str) -> None:
        """Make a parameter a plain float, never −0. Raises `ParameterError` when it is not a number."""
        value = getattr(self, name)
        try:
            number = float(value)
        except (TypeError, ValueError):
            raise ParameterError(f"{name}={value!r} is not a number") from None
        if math.isnan(number):
            raise ParameterError(f"{name}={value!r} is not a number")
        object.__setattr__(self, name, number + 0.0)

    @cached_property
    def domain(self) -> Domain:
        """The integers it sums."""
        return Domain(self.participants, self.length, self.value_bits)

    @cached_property
    def suite(self) -> Ciphersuite:
        """The ciphersuite's value."""
        return suite_named(self.ciphersuite)

    @cached_property
    def id(self) -> bytes:
        """32 bytes that name the protocol and every public parameter."""
        rows = [frame(item.name, str(getattr(self, item.name))) for item in fields(self)]
        return digest(Use.SCHEME_ID, self.name, *rows)

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
        return self.payload_limit + ENVELOPE_OVERHEAD

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
                f"the scheme has {self.participants}"
            )

    @property
    @abstractmethod
    def steps(self) -> tuple[Step, ...]:
        """The steps in order: what a participant sends, each closed by the server."""

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
        found = self._opened(view)
        if undeclared := sorted(found.keys() - self.traits.opens):
            raise ParameterError(f"{self.name} opens {undeclared[0]!r}, which its traits do not declare: add it there")
        return found

    @abstractmethod
    def _opened(self, view: RoundView) -> dict[str, tuple[int, ...]]:
        """Return what `opened` does: name of a secret → whose; the names are those in `traits.opens`."""

    @abstractmethod
    def work(self, run: MeasuredRound) -> tuple[Work, Work]:
        """Return the unavoidable work of one surviving client and of the server: `Work()` where none is counted."""

    @classmethod
    def against(cls, participants: int, colluders: int, dropout_rate: float) -> dict[str, Any]:
        """Return what it must withstand, as the parameters in which this scheme takes it."""
        return {"colluders": colluders} if any(item.name == "colluders" for item in fields(cls)) else {}

    @classmethod
    def examples(cls) -> tuple[Self, ...]:
        """Return one for each server that it can be made for: ten participants, of whom two may collude."""
        servers = [server for server in Adversary if server in cls.traits.adversaries] or [Adversary.SEMI_HONEST]
        return tuple(cls(10, 1, adversary=server, **cls.against(10, 2, 0)) for server in servers)

    @property
    def share_bytes(self) -> int:
        """Bytes that one dealer seals for one holder: 0 where no shares are dealt."""
        return 0

    def make_group_key(self, randomness: Randomness = SYSTEM) -> tuple[object, object] | None:
        """Make (what every participant holds, what the server holds); None where participants share no key."""
        return None

    @property
    @abstractmethod
    def payload_limit(self) -> int:
        """Longest payload any message of this scheme may have, in bytes."""

    @abstractmethod
    def _machines(self) -> tuple[type[Client], type[Server]]:
        """Return the classes of a participant's and of the server's machine."""

    def client(
        self,
        participant: int,
        context: RoundContext,
        *,
        identity: Identity | None = None,
        roster: Roster | None = None,
        policy: Policy = Policy(),
        randomness: Randomness = SYSTEM,
        ledger: ContributionLedger | None = None,
        group_key: object | None = None,
        executor: Executor | None = None,
        parts: int = 1,
        now: datetime | None = None,
    ) -> Client:
        """Make a participant's machine for one round.

        now: the time, with its zone, at which the roster's entries must be valid; required where any has a limit.

        ledger: what this identity has answered before, kept for all its rounds; required when active (a
        `durable.SnapshotStore`, or a `MemoryLedger` in a simulation). group_key: the key that the participants share,
        for schemes that need one (`make_group_key`).

        executor, parts: where `Ckks` and `Bfv` encrypt, each block in up to that many pieces, and decrypt. SEAL holds
        Python's lock for milliseconds at a time, so processes pay on many cores and beside threads that compute. The
        call waits for them without the lock: an event loop makes it in a thread. The other schemes ignore both: masks
        and numpy leave the lock free. Workers are sent the vector, and the group key's secret polynomial and flooding
        key: they must be this participant's own, and links to other machines encrypted. Work that a worker loses is
        done in this process after all; `WorkerLost` is never raised, as the ledger then holds this round's answer and
        would refuse a second call.
        """
        from .machine import Holdings

        holdings = Holdings(identity, roster, randomness, policy, ledger, group_key, executor, parts, now)
        return self._machines()[0](self, context, participant, holdings)

    def server(
        self,
        context: RoundContext,
        *,
        identity: Identity | None = None,
        roster: Roster | None = None,
        randomness: Randomness = SYSTEM,
        executor: Executor | None = None,
        parts: int = 1,
        group_key: object | None = None,
        now: datetime | None = None,
    ) -> Server:
        """Make the server's machine for one round. now: as for `client`.

        executor, parts: unmask in that many pieces on any `concurrent.futures.Executor`. group_key: the server's handle
        of the key that the participants share, for schemes that need one.
        """
        from .machine import Holdings

        holdings = Holdings(identity, roster, randomness, group_key=group_key, now=now)
        return self._machines()[1](self, context, holdings, executor, parts)

    def restore(
        self,
        snapshot: bytes,
        *,
        ledger: ContributionLedger,
        identity: Identity | None = None,
        roster: Roster | None = None,
        policy: Policy | None = None,
        randomness: Randomness = SYSTEM,
        group_key: object | None = None,
        executor: Executor | None = None,
        parts: int = 1,
        now: datetime | None = None,
    ) -> Client:
        """Make a participant's machine from a snapshot of one. Raises `InputError` for a foreign snapshot.

        ledger: the one that this identity keeps; required, as a snapshot restored twice must not answer twice. policy:
        the snapshot's own unless given; one that asks for less raises `ParameterError`. The rest as for `client`;
        neither the group key nor the executor is in a snapshot.
        """
        from .machine import Holdings

        holdings = Holdings(identity, roster, randomness, policy, ledger, group_key, executor, parts, now)
        return self._machines()[0].resume(self, snapshot, holdings)
