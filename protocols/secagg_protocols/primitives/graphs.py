"""Sparse neighbour graphs and how many neighbours are enough (Bell et al., CCS'20, §3).

A graph is a Harary graph H(k, n) under a random permutation: on a circle, each participant is joined to the k/2 nearest
on both sides (and, for odd k and even n, to the one opposite). Three events must not happen, with exact hypergeometric
tails and a union over all participants:

1. somebody has t or more corrupt neighbours (they could open its secrets): counted in σ;
2. somebody has fewer than t neighbours that stay (its secrets could not be opened when needed): η;
3. what is left after corrupt and vanished participants are taken out is not connected (a part's sum would show): σ. A
   Harary graph falls apart only if two separate runs of ⌊k/2⌋ participants in a row are gone (`falls_apart`).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, comb, exp, lgamma

import numpy as np
from numpy.typing import NDArray

from ..errors import ParameterError
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


def _hypergeometric(population: int, marked: int, drawn: int) -> NDArray[np.float64]:
    """Return P[x marked among the drawn] for x = 0 … drawn."""
    chances = np.zeros(drawn + 1)
    least = max(0, drawn - (population - marked))
    most = min(marked, drawn)
    x = np.arange(least, most)
    ratios = (marked - x) * (drawn - x) / ((x + 1.0) * (population - marked - drawn + x + 1))  # P[x + 1] / P[x]
    logs = np.concatenate([[0.0], np.cumsum(np.log(ratios))])
    terms = np.exp(logs - logs.max())
    chances[least : most + 1] = terms / terms.sum()
    return chances


def falls_apart(participants: int, removed: int, neighbours: int) -> float:
    """Bound the probability that a Harary graph falls apart when any participants are taken out, up to `removed`.

    Those that stay cut the circle into as many gaps, some of them empty. Two that follow each other on the circle are
    neighbours if fewer than h = ⌊k/2⌋ were taken out between them, so with at most one gap of h or more all of them
    hang together, around the circle's other side. (For even k two such gaps do cut it: no edge is longer than h.)

    With r of n out, m = n − r stay. Counted from a random one of them, their gaps are each of the C(n − 1, m − 1)
    ordered sums of r with the same chance. In C(n − 1 − 2h, m − 1) of these two given gaps are at least h (take h from
    both), so a union over the C(m, 2) pairs gives C(m, 2) · ∏_{i < 2h} (r − i) / (n − 1 − i). From r to r + 1 that
    grows while r ≤ (hn − 1) / (h + 1), and falls beyond, where hardly anybody is left to be parted: the largest value
    for any number up to `removed` is returned. With odd k there are more edges than for k − 1.
    """
    n = participants
    half = neighbours // 2
    gone = min(removed, (half * n - 1) // (half + 1) + 1)
    if 2 * half > gone:
        return 0.0
    # ∏ (r − i) / (n − 1 − i), as factorials: r! (n − 1 − 2h)! / ((r − 2h)! (n − 1)!)
    both_long = lgamma(gone + 1) - lgamma(gone - 2 * half + 1) + lgamma(n - 2 * half) - lgamma(n)
    return min(1.0, comb(n - gone, 2) * exp(both_long))


LEAST_THRESHOLD = 2
"""With t = 1 every single neighbour could open a participant, whatever the rates say."""


class Tails:
    """The distributions for one k, so that many t can be tried."""

    def __init__(self, requirements: Requirements, neighbours: int) -> None:
        n = requirements.participants
        corrupt = requirements.corrupt_count
        vanishing = requirements.vanishing_count
        self._requirements = requirements
        # Smallest terms first, so that tiny tails are summed without loss.
        self._corrupt = n * _hypergeometric(n - 1, corrupt, neighbours)[::-1].cumsum()[::-1]
        self._left = n * np.concatenate([[0.0], _hypergeometric(n - 1, n - 1 - vanishing, neighbours).cumsum()])
        self._disconnected = falls_apart(n, corrupt + vanishing, neighbours)

    def risks(self, threshold: int) -> Risks:
        """Return the risks with this t, 1 ≤ t ≤ k."""
        return Risks(float(self._corrupt[threshold]), float(self._left[threshold]), self._disconnected)

    @property
    def least(self) -> int:
        """The smallest t with few enough corrupt neighbours, were the graph sure to hold together; k + 1 if none."""
        # The tails fall with t: it is the number of those that are too likely.
        return max(LEAST_THRESHOLD, int(np.count_nonzero(self._corrupt > 2.0**-self._requirements.sigma)))

    @property
    def most(self) -> int:
        """The largest t with enough neighbours that stay; 0 if none."""
        return int(np.count_nonzero(self._left[1:-1] <= 2.0**-self._requirements.eta))


def derive(requirements: Requirements) -> tuple[int, int]:
    """Return the smallest even k, and for it the smallest t, that meet the requirements.

    Raises `ParameterError` naming the requirement that fails with everybody as neighbours, and what would do.

    One neighbour more moves `Tails.most` up by at most one and `Tails.least` not down (count the neighbours with and
    without it), so where they are g short of meeting, the next g − 1 values of k are too few as well and are skipped.
    """
    n = requirements.participants
    neighbours = _fewest_connected(requirements)
    while neighbours < n:
        tails = Tails(requirements, neighbours)
        for threshold in range(tails.least, tails.most + 1):
            if tails.risks(threshold).problem(requirements) is None:
                return neighbours, threshold
        short = tails.least - tails.most
        neighbours += 2 * max(1, (short + 1) // 2)
    problem: str | None = "there are too few participants"
    last = (n - 1) // 2 * 2
    if last >= LEAST_THRESHOLD:
        tails = Tails(requirements, last)
        problem = tails.risks(min(max(tails.most + 1, LEAST_THRESHOLD), last)).problem(requirements)
    raise ParameterError(
        f"no sparse graph of {n} participants withstands corrupt_rate={requirements.corrupt:g} and dropout_rate="
        f"{requirements.vanishing:g}: even with nearly all as neighbours {problem}; lower the rates, take more "
        "participants, or take Bonawitz (the complete graph)"
    )


def _fewest_connected(requirements: Requirements) -> int:
    """Return the smallest even k with which the graph falls apart rarely enough: the chance falls with k."""
    n = requirements.participants
    removed = requirements.corrupt_count + requirements.vanishing_count
    halves = range(1, (n + 1) // 2)
    # Negated, so that the values rise with k as `bisect` needs.
    position = bisect_right(halves, -(2.0**-requirements.sigma), key=lambda half: -falls_apart(n, removed, 2 * half))
    return 2 * (position + 1)


def fewest_left(requirements: Requirements, neighbours: int, threshold: int) -> int:
    """Return how many participants must be in the sum so that events 1 and 3 are as unlikely as required: no more than
    `requirements.vanishing_count` below all of them. However many vanish, the complete graph does not fall apart.
    """
    n = requirements.participants
    corrupt = requirements.corrupt_count
    if neighbours >= n - 1:
        return threshold
    room = 2.0**-requirements.sigma - Tails(requirements, neighbours).risks(threshold).too_many_corrupt
    bearable = bisect_right(range(n - corrupt), room, key=lambda gone: falls_apart(n, corrupt + gone, neighbours))
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
    n = len(members)
    k = neighbours
    assert 0 < k < n
    assert k % 2 == 0 or n % 2 == 0
    keys = np.frombuffer(randomness.bytes(16 * n), dtype="<u8").reshape(n, 2)
    order = np.lexsort((keys[:, 1], keys[:, 0]))
    steps = [*range(k // 2 + 1), *([n // 2] if k % 2 else [])]
    around = sorted({sign * step % n for step in steps for sign in (1, -1)})
    circle = np.empty((n, k + 1), dtype=np.intp)
    circle[order] = np.sort(order[(np.arange(n)[:, None] + around) % n], axis=1)
    return Circles(np.asarray(members, dtype=np.int64), circle)
