"""Which holders were found to lie, and whom to go by without them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .cases import Case, there_of
from .field import PRIME
from .interpolation import Mask, Masks


class Liars:
    """What was learnt of holders at some dealers, to be used at the next.

    counts: by holder, how often it was found to lie. dealers: of how many dealers shares were found to be wrong.
    learnt: how often something new was found.
    """

    def __init__(self, threshold: int) -> None:
        self._threshold = threshold
        self.counts = np.zeros(PRIME, dtype=np.int64)
        self.dealers = 0
        self.learnt = 0

    @property
    def notorious(self) -> bool:
        """Whether some holder was found to lie about most of these dealers."""
        return bool(2 * self.counts.max() > self.dealers)

    def learn(self, holders: Sequence[int], times: int) -> None:
        """Count these holders as found to lie."""
        if holders:
            self.counts[holders] += times
            self.learnt += 1

    def learn_of_dealer(self, holders: Sequence[int]) -> None:
        """Count these holders as found to lie about one more dealer."""
        self.learn(holders, 1)
        self.dealers += 1

    def without(self, case: Case) -> list[Mask]:
        """Return whom to go by without those found to lie: all of them; those found as often as half of the worst."""
        every, worst = (self.trusted([case], worst=which)[0] for which in (False, True))
        masks = [every] if np.array_equal(every, worst) else [every, worst]
        return [mask for mask in masks if not np.array_equal(mask, case.there)]

    def trusted(self, cases: Sequence[Case], *, worst: bool) -> Masks:
        """Return whom to go by, (dealers, m), without those found to lie: at all, or as often as half of the worst.

        Without signatures a bad dealer makes liars of honest holders, but only at itself.
        """
        there = there_of(cases)
        lies = self.counts[cases[0].holders] * there
        least = np.maximum(1, lies.max(axis=1) // 2) if worst else np.ones(len(cases), dtype=np.int64)
        out = lies >= least[:, None]
        most = there.sum(axis=1) - self._threshold
        for place in np.flatnonzero(out.sum(axis=1) > most).tolist():
            rows = np.flatnonzero(out[place])
            spared = rows[np.argsort(-lies[place, rows], kind="stable")[most[place] :]]
            out[place, spared] = False
        return there & ~out
