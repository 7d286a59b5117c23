"""What a scheme promises, as data. The scheme says it; policy, leakage, audit, bench and command line read it.

`Traits` hold for a kind of scheme whatever its parameters, `Guarantee` for one scheme. Neither has a default: what a
scheme does not say is refused, and never inferred from its class or its name.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from ..errors import ParameterError

PARTICIPANTS = "participants"


class Adversary(StrEnum):
    """What the server may do: follow the protocol and look, or anything at all."""

    SEMI_HONEST = "semi-honest"
    ACTIVE = "active"


def parse_adversary(value: Adversary | str) -> Adversary:
    """Return the adversary named. Raises `ParameterError` for an unknown one."""
    try:
        return Adversary(value)
    except ValueError:
        raise ParameterError(f"adversary {value!r} is unknown; choose semi-honest or active") from None


class Keys(StrEnum):
    """The keys that hide vectors: none, each participant's own for one round, or one that all hold for many rounds."""

    NONE = "none"
    OWN = "own"
    GROUP = "group"


@dataclass(frozen=True, slots=True, kw_only=True)
class Traits:
    """What a kind of scheme can do, whatever its parameters.

    protects: whether it hides vectors at all. adversaries: the servers that it can be made to withstand; none where it
    protects nothing. keys: what participants hold. early_keys: whether they may advertise keys before it is known what
    the round is about. opens: names of the secrets that a round may reconstruct (`Scheme.opened`); the sum is none.
    """

    protects: bool
    adversaries: frozenset[Adversary]
    keys: Keys
    early_keys: bool
    opens: frozenset[str]

    def __post_init__(self) -> None:
        object.__setattr__(self, "adversaries", frozenset(map(parse_adversary, self.adversaries)))
        object.__setattr__(self, "opens", frozenset(self.opens))
        if self.protects != bool(self.adversaries):
            said = sorted(self.adversaries) or "no server"
            raise ParameterError(f"protects={self.protects} and {said} is withstood: these contradict each other")
        if self.protects != (self.keys != Keys.NONE):
            raise ParameterError(f"protects={self.protects} with keys={self.keys}: these contradict each other")


@dataclass(frozen=True, slots=True)
class Coalition:
    """The server and so many others, who together open more than the sum.

    participants: how many; 0: the server alone. opens: what, in words. among: of whom. partly: whether so many learn
    something of it only.
    """

    participants: int
    opens: str
    among: str = PARTICIPANTS
    partly: bool = False

    def __str__(self) -> str:
        if not self.participants:
            return "server"
        if self.participants == 1:
            return f"server + any one {self.among.removesuffix('s')}"
        return f"server + {self.participants} {self.among}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Guarantee:
    """What one scheme promises, as it was made.

    adversary: the strongest server that it withstands; None: none. colluders: how many participants may work with that
    server. statistical_bits: s, where this fails with a chance of up to 2⁻ˢ whatever anybody computes; None where no
    such chance is part of it. opened_by: who opens more than the sum; who opens everything stands last. sum_known_to:
    who learns the sum in the round itself, in words.

    Raises `ParameterError` where these contradict each other.
    """

    adversary: Adversary | None
    colluders: int
    statistical_bits: int | None
    opened_by: tuple[Coalition, ...]
    sum_known_to: str

    def __post_init__(self) -> None:
        if not self.opened_by:
            raise ParameterError("opened_by is empty: say who opens vectors, if only all participants together")
        least = min((it.participants for it in self.opened_by if it.among == PARTICIPANTS), default=None)
        if self.adversary is None:
            if self.colluders or least != 0:
                raise ParameterError("no server is withstood: then colluders=0, and the server alone opens vectors")
            return
        if least is not None and least <= self.colluders:
            raise ParameterError(
                f"colluders={self.colluders} are withstood, and the server with {least} opens vectors: "
                "these contradict each other"
            )

    @property
    def opened(self) -> str:
        """The coalitions in one line: who opens everything, and who a part of it before."""
        parts = [f" (parts of it: {it.participants})" for it in self.opened_by if it.partly]
        return f"{self.opened_by[-1]}{''.join(parts)}"


class RoundView(Protocol):
    """What one party saw of a round, as far as it bears on what was opened. Both ascending.

    listed: whose secrets the others hold shares of (`Scheme.listed`). survivors: whose vectors are in the sum; nobody
    where there is none.
    """

    @property
    def listed(self) -> tuple[int, ...]: ...
    @property
    def survivors(self) -> tuple[int, ...]: ...
