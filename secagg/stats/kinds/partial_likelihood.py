"""Cox's partial likelihood from sums over the rows that leave in each interval of time.

Ties as Breslow (1974) or as Efron (1977). Rows at risk at an event are those that leave then or later, so risk sets are
running sums from the end, and no patient's time is needed beside the interval.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .joining import interval_starts
from .newton import Evaluation, Reals, symmetric, triangle


@dataclass(frozen=True)
class Moments:
    """∑ w, ∑ w z and the triangle of ∑ w z zᵀ, with w = exp(z β), by interval: (J,), (J, p), (J, p (p + 1) / 2)."""

    weight: Reals
    first: Reals
    second: Reals

    @classmethod
    def of(cls, z: Reals, weight: Reals, interval: NDArray[np.int64], intervals: int) -> Moments:
        """Sum rows by the interval that they leave in."""
        products = triangle(z[:, :, None] * z[:, None, :])
        columns = weight[:, None] * np.concatenate([np.ones((len(z), 1)), z, products], axis=1)
        summed = np.zeros((intervals, columns.shape[1]))
        np.add.at(summed, interval, columns)
        return cls.split(summed, z.shape[1])

    @classmethod
    def split(cls, columns: Reals, size: int) -> Moments:
        """Read them from the columns of one array."""
        return cls(columns[:, 0], columns[:, 1 : 1 + size], columns[:, 1 + size :])

    @property
    def joined(self) -> Reals:
        """All of them as the columns of one array."""
        return np.concatenate([self.weight[:, None], self.first, self.second], axis=1)

    @property
    def at_risk(self) -> Moments:
        """The same sums over all who leave in the interval or later."""
        return Moments.split(self.joined[::-1].cumsum(axis=0)[::-1], self.first.shape[1])


@dataclass(frozen=True)
class Intervals:
    """How times are grouped, from public counts, so that no sum is of fewer rows than a floor.

    starts: the points of the grid at which intervals begin. leaves: for each interval, the one whose risk sets are the
    last with those who are censored in it.
    """

    starts: tuple[int, ...]
    leaves: tuple[int, ...]

    @classmethod
    def of(cls, events: NDArray[np.int64], censored: NDArray[np.int64], least: int) -> Intervals:
        """Begin them as `interval_starts` does, for at least so many events, and none or as many censored.

        Those censored wait for the interval with which they are enough; at the end they leave with the last who did.
        """
        starts = interval_starts(events[None], least)
        return cls(starts, _leaving(np.add.reduceat(censored, starts), least) if starts else ())

    @property
    def waited_for(self) -> tuple[int, ...]:
        """The intervals that those censored leave in, in order."""
        return tuple(sorted(set(self.leaves)))

    def place(self, times: NDArray[np.int64], censored: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Return the interval that each row leaves in; −1 for a row that was censored before the first."""
        place = np.searchsorted(self.starts, times, side="right") - 1
        waits = censored & (place >= 0)
        place[waits] = np.array(self.leaves, dtype=np.int64)[place[waits]]
        return place


def _leaving(censored: NDArray[np.int64], least: int) -> tuple[int, ...]:
    leaves: list[int] = []
    waiting = 0
    last = len(censored) - 1
    for interval, count in enumerate(censored):
        waiting += int(count)
        if waiting >= least:
            last = interval
            leaves += [last] * (interval + 1 - len(leaves))
            waiting = 0
    return (*leaves, *([last] * (len(censored) - len(leaves))))


def evaluate(
    beta: Reals, events: NDArray[np.int64], event_sum: Reals, tied: Moments, leaving: Moments, ties: str
) -> Evaluation:
    """Return −2 log L, its score and its information at β.

    events: how many in each interval; event_sum: ∑ z over all events; tied: the events' own moments, by which Efron
    takes out of the risk set, event by event, its part of those that happened at once.
    """
    interval = np.repeat(np.arange(len(events)), events)
    sums = leaving.at_risk.joined[interval]
    if ties == "efron":
        order = np.arange(len(interval)) - np.repeat(np.cumsum(events) - events, events)
        sums = sums - (order / events[interval])[:, None] * tied.joined[interval]
    risk = Moments.split(sums, len(beta))
    mean = risk.first / risk.weight[:, None]
    second = symmetric((risk.second / risk.weight[:, None]).sum(axis=0), len(beta))
    return Evaluation(
        rows=int(events.sum()),
        loss=float(-2 * (event_sum @ beta - np.log(risk.weight).sum())),
        score=event_sum - mean.sum(axis=0),
        information=second - mean.T @ mean,
    )
