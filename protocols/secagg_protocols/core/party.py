"""What a party brings to a round: who it is, whom it knows, its chance, and what outlives the round."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, field
from datetime import datetime

from ..errors import ParameterError
from ..primitives.randomness import SYSTEM, Randomness
from .context import RoundContext
from .identity import Identity, Roster
from .ledger import ContributionLedger
from .policy import Policy


@dataclass(frozen=True, slots=True)
class Workers:
    """Where a party's heavy work runs. executor: None: in this call. parts: into how many pieces it is cut, 1 or more.

    Workers are sent secrets of the party whose work they do: they must be its own, and links to other machines
    encrypted. What they are sent, and what becomes of work that one of them loses, each scheme says for itself.
    """

    executor: Executor | None = None
    parts: int = 1

    def __post_init__(self) -> None:
        if self.parts < 1:
            raise ParameterError(f"parts={self.parts}: cut the work into 1 part or more")


HERE = Workers()
"""No workers: a party's work is done in the call that asks for it."""


@dataclass(frozen=True, slots=True)
class Participant:
    """A participant, as far as it is the same in every round.

    identity, roster: its own keys and everybody's public ones; required against an active server.
    policy: its own floor. None: `Policy()`, and where a machine is restored, the policy with which it began.
    ledger: what this identity has answered before, one for all its rounds; required against an active server (a
    `SnapshotStore`, or a `MemoryLedger` in a simulation), and always where a machine is restored.
    standing: what outlives a round, typed by the scheme: the group key, where participants share one.
    now: the time, with its zone, at which the roster's entries must be valid; required where any has a limit.
    check_survivors: its own rule about whose vectors are in a sum with its own: called before anything is signed or
    opened for them, perhaps more than once. It raises `Declined`, or remembers what it agrees to.
    """

    identity: Identity | None = None
    roster: Roster | None = None
    policy: Policy | None = None
    randomness: Randomness = field(default=SYSTEM, repr=False)
    ledger: ContributionLedger | None = None
    standing: object | None = field(default=None, repr=False)
    workers: Workers = HERE
    now: datetime | None = None
    check_survivors: Callable[[RoundContext, tuple[int, ...]], None] | None = None


@dataclass(frozen=True, slots=True)
class Aggregator:
    """The server, as far as it is the same in every round. standing: its handle of what participants share.

    The rest as for a `Participant`.
    """

    identity: Identity | None = None
    roster: Roster | None = None
    randomness: Randomness = field(default=SYSTEM, repr=False)
    standing: object | None = field(default=None, repr=False)
    workers: Workers = HERE
    now: datetime | None = None
