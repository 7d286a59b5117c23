"""A participant's own floor: what it takes part in, whatever a server proposes."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import ParameterError
from .guarantee import Adversary, parse_adversary
from .numbers import whole


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

    @property
    def values(self) -> tuple[int, int, str, int, int]:
        """All fields in their order, as a snapshot keeps them."""
        return self.minimum_cohort, self.colluders, str(self.adversary), self.reruns, self.maximum_participants

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
            mine = getattr(self, name)
            before = getattr(earlier, name)
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
