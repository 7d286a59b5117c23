"""Sparse neighbour graphs and how many neighbours are enough (Bell et al., CCS'20, §3).

A graph is a Harary graph H(k, n) under a random permutation: on a circle, each participant is joined to the k/2 nearest
on both sides (and, for odd k and even n, to the one opposite). Three events must not happen, with exact hypergeometric
tails and a union over all participants:

1. somebody has t or more corrupt neighbours (they could open its secrets): counted in σ;
2. somebody has fewer than t neighbours that stay (its secrets could not be opened when needed): η;
3. what is left after corrupt and vanished participants are taken out is not connected (a part's sum would show): σ. A
   Harary graph falls apart only if ⌊k/2⌋ neighbours in a row are gone.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import ceil, exp, lgamma, log

import numpy as np
from numpy.typing import NDArray

from .errors import ParameterError
from .randomness import Randomness


@dataclass(frozen=True, slots=True)
class Requirements:
    """What a graph must withstand. corrupt, vanishing: fractions of n. sigma, eta: bits of statistical security and of
    correctness: the bad events have probabilities below 2^−sigma (events 1 and 3 together) and 2^−eta (event 2)."""

    participants: int
    corrupt: float
    vanishing: float
    sigma: int
    eta: int

    def __post_init__(self) -> None:
        for name, rate in (("corrupt_rate", self.corrupt), ("dropout_rate", self.vanishing)):
            if not 0 <= rate < 1:
                raise ParameterError(f"{name}={rate} is not a fraction in [0, 1)")
        if self.corrupt + self.vanishing >= 1:
            raise ParameterError(
                f"corrupt_rate + dropout_rate = {self.corrupt + self.vanishing:g}: nobody honest would be left"
            )
        if not (20 <= self.sigma <= 128 and 10 <= self.eta <= 128):
            raise ParameterError(f"sigma={self.sigma}, eta={self.eta}: give 20…128 and 10…128 bits")

    @property
    def corrupt_count(self) -> int:
        """Corrupt participants."""
        return _rounded_up(self.corrupt * self.participants)

    @property
    def vanishing_count(self) -> int:
        """Participants that vanish."""
        return _rounded_up(self.vanishing * self.participants)


def _rounded_up(count: float) -> int:
    """Return a number of participants on the safe side; 7.000000000000001 is seven."""
    return ceil(count - 1e-9)


@dataclass(frozen=True, slots=True)
class Risks:
    """Probabilities of the three events for one (k, t), each over all participants."""

    too_many_corrupt: float
    too_few_left: float
    disconnected: float

    def problem(self, requirements: Requirements) -> str | None:
        """Say which requirement is not met, in words; None when all are."""
        if self.disconnected >= 2.0**-requirements.sigma:
            return f"the graph falls apart with probability {self.disconnected:.1e} > 2^-{requirements.sigma}"
        if self.too_many_corrupt + self.disconnected > 2.0**-requirements.sigma:
            chance = self.too_many_corrupt
            return f"somebody has t corrupt neighbours with probability {chance:.1e} > 2^-{requirements.sigma}"
        if self.too_few_left > 2.0**-requirements.eta:
            chance = self.too_few_left
            return f"somebody keeps fewer than t neighbours with probability {chance:.1e} > 2^-{requirements.eta}"
        return None


def _log_choose(n: int, k: int) -> float:
    return lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1) if 0 <= k <= n else float("-inf")


def _hypergeometric(population: int, marked: int, drawn: int) -> list[float]:
    """Return P[x marked among the drawn] for x = 0 … drawn."""
    total = _log_choose(population, drawn)
    return [exp(_log_choose(marked, x) + _log_choose(population - marked, drawn - x) - total) for x in range(drawn + 1)]


def _in_a_row(participants: int, removed: int, length: int) -> float:
    """Bound the probability that some `length` participants in a row are all among the removed."""
    if length > removed:
        return 0.0
    return exp(log(participants) + sum(log((removed - i) / (participants - i)) for i in range(length)))


class Tails:
    """The distributions for one k, so that many t can be tried."""

    def __init__(self, requirements: Requirements, neighbours: int) -> None:
        n, corrupt, vanishing = requirements.participants, requirements.corrupt_count, requirements.vanishing_count
        self._n = n
        # Smallest terms first, so that tiny tails are summed without loss.
        self._corrupt = list(accumulate(reversed(_hypergeometric(n - 1, corrupt, neighbours))))[::-1]
        self._left = [0.0, *accumulate(_hypergeometric(n - 1, n - 1 - vanishing, neighbours))]
        self._disconnected = _in_a_row(n, corrupt + vanishing, neighbours // 2)

    def risks(self, threshold: int) -> Risks:
        """Return the risks with this t, 1 ≤ t ≤ k."""
        return Risks(self._n * self._corrupt[threshold], self._n * self._left[threshold], self._disconnected)


def derive(requirements: Requirements) -> tuple[int, int]:
    """Return the smallest even k, and for it the smallest t, that meet the requirements.

    Raises `ParameterError` naming the requirement that fails with everybody as neighbours, and what would do.
    """
    problem: str | None = "there are too few participants"
    for neighbours in range(2, requirements.participants, 2):
        tails = Tails(requirements, neighbours)
        for threshold in range(1, neighbours + 1):
            risks = tails.risks(threshold)
            problem = risks.problem(requirements)
            if problem is None:
                return neighbours, threshold
            if risks.too_few_left > 2.0**-requirements.eta:
                break  # larger t only makes it worse
    raise ParameterError(
        f"no sparse graph of {requirements.participants} participants withstands corrupt_rate="
        f"{requirements.corrupt:g} and dropout_rate={requirements.vanishing:g}: even with nearly all as neighbours "
        f"{problem}; lower the rates, take more participants, or take Bonawitz (the complete graph)"
    )


def fewest_left(requirements: Requirements, neighbours: int, threshold: int) -> int:
    """Return how many participants must be in the sum so that events 1 and 3 are as unlikely as required: no more than
    `requirements.vanishing_count` below all of them. However many vanish, the complete graph does not fall apart.
    """
    n, corrupt = requirements.participants, requirements.corrupt_count
    if neighbours >= n - 1:
        return threshold
    room = 2.0**-requirements.sigma - Tails(requirements, neighbours).risks(threshold).too_many_corrupt
    bearable = bisect_right(range(n - corrupt), room, key=lambda gone: _in_a_row(n, corrupt + gone, neighbours // 2))
    return n - bearable + 1


@dataclass(frozen=True, slots=True, eq=False)
class Circles:
    """Everyone's neighbourhood, as matrices over positions in `members`.

    members: (n,) ids, ascending. circle: (n, c) positions, each row ascending: a member's neighbours and itself.
    """

    members: NDArray[np.int64]
    circle: NDArray[np.intp]

    @property
    def ids(self) -> NDArray[np.int64]:
        """The circles as participant ids, (n, c)."""
        return self.members[self.circle]

    def position(self, member: int) -> int:
        """Return where a member stands in `members`."""
        return int(self.members.searchsorted(member))

    def among(self, ids: Sequence[int]) -> NDArray[np.bool_]:
        """Return which members are among these, (n,)."""
        return np.isin(self.members, ids)

    def of(self, member: int) -> tuple[int, ...]:
        """Return a member's neighbours and itself, ascending."""
        return tuple(self.members[self.circle[self.position(member)]].tolist())

    @property
    def transposition(self) -> NDArray[np.intp]:
        """The matrix (n, c) that says at [v, j] where v stands in the row of its j-th neighbour, as a flat index.

        If u is v's neighbour then v is u's: read row by row, v occurs in the rows of its circle, in ascending order.
        """
        return np.argsort(self.circle, axis=None, kind="stable").reshape(self.circle.shape)

    def sent_to_me(self, sent: NDArray[np.bool_]) -> NDArray[np.intp]:
        """Return where to find what members were sent, when each row's items are laid one after another, row by row.

        `sent`: (n, c), whether row u has an item for its j-th neighbour. Returns (n, c): the item's number for what
        v was sent by its j-th neighbour, −1 for nothing.
        """
        numbers = np.where(sent.reshape(-1), np.cumsum(sent) - 1, -1)
        return numbers[self.transposition]


def harary(members: Sequence[int], neighbours: int, randomness: Randomness) -> Circles:
    """Return a random Harary graph over `members` (ids, ascending): more than `neighbours`, and not both odd."""
    n, k = len(members), neighbours
    assert 0 < k < n
    assert k % 2 == 0 or n % 2 == 0
    keys = np.frombuffer(randomness.bytes(16 * n), dtype="<u8").reshape(n, 2)
    order = np.lexsort((keys[:, 1], keys[:, 0]))
    steps = [*range(k // 2 + 1), *([n // 2] if k % 2 else [])]
    around = sorted({sign * step % n for step in steps for sign in (1, -1)})
    circle = np.empty((n, k + 1), dtype=np.intp)
    circle[order] = np.sort(order[(np.arange(n)[:, None] + around) % n], axis=1)
    return Circles(np.asarray(members, dtype=np.int64), circle)
