"""Times joined into intervals, so that all that is published of survival follows from counts that reach the least cell.

The intervals are those of all groups together. What a curve says to all digits, and a test, tells the counts that they
were computed from; so these are, for each group and interval, at least so many events, and none or as many censored.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .life_table import Counts, LifeTable


@dataclass(frozen=True)
class Joined:
    """tables: one of each group, over intervals. times: the point of the last event in each. ended: the last interval
    is not told: all who are in it count as censored."""

    tables: tuple[LifeTable, ...]
    times: Counts
    ended: bool


def interval_starts(events: Counts, least: int) -> tuple[int, ...]:
    """Begin an interval at each event, unless that leaves fewer than `least` of a group to it or to the last one.

    events: by group and point. The first begins with the grid, as few may be censored before the first event; with
    least ≤ 1 nothing is joined, and it begins with that event.
    """
    before = np.cumsum(events, axis=1) - events
    in_all = events.sum(axis=1)
    starts: list[int] = []
    begun = np.zeros_like(in_all)
    for time in np.flatnonzero(events.sum(axis=0)):
        here = before[:, time]
        if not starts or (np.minimum(here - begun, in_all - here) >= least).all():
            starts.append(int(time))
            begun = here
    if starts and least > 1:
        starts[0] = 0
    return tuple(starts)


def join(groups: Sequence[LifeTable], least: int, ended: bool) -> Joined:
    """Join the times of groups that have at least so many events each.

    Those censored leave at the end of the interval in which they are enough, and are at risk until then. Who is left
    over at the end is told together with the last events: then no group's last interval is told. ended: it is not told
    anyway, as events of other rows would follow.
    """
    points = len(groups[0].events)
    if least <= 1:
        return Joined(tuple(groups), np.arange(points), False)
    events = np.array([group.events for group in groups])
    starts = interval_starts(events, least)
    happened = np.flatnonzero(events.sum(axis=0))
    times = happened[np.searchsorted(happened, [*starts[1:], points]) - 1]
    died = np.add.reduceat(events, starts, axis=1)
    waited = [_waiting(np.add.reduceat(group.censored, starts), least) for group in groups]
    ended = ended or any(left_over for _, left_over in waited)
    left = np.array([leaving for leaving, _ in waited])
    left[:, -1] += [left_over for _, left_over in waited]
    if ended:
        left[:, -1] += died[:, -1]
        died[:, -1] = 0
    return Joined(tuple(LifeTable(*group) for group in zip(died, left, strict=True)), times, ended)


def _waiting(censored: Counts, least: int) -> tuple[Counts, int]:
    """Return how many leave in each interval, none or enough, and how many are left over."""
    leaving = np.zeros_like(censored)
    waiting = 0
    for interval, count in enumerate(censored):
        waiting += int(count)
        if waiting >= least:
            leaving[interval] = waiting
            waiting = 0
    return leaving, waiting
