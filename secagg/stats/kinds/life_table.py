"""Survival from counts alone: how many had the event, and how many were censored, at each point of a time grid.

The estimators are those of Kaplan and Meier (1958), with the variance of Greenwood (1926), and the log-rank test of
Mantel (1966) for any number of groups.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .laws import chi2_tail, half_width

Counts = NDArray[np.int64]
Reals = NDArray[np.float64]


@dataclass(frozen=True)
class LifeTable:
    """One group. events, censored: counts at each point of the grid; who is censored at a point is at risk there."""

    events: Counts
    censored: Counts

    @property
    def leaving(self) -> Counts:
        """How many leave at each point, for whatever reason."""
        return self.events + self.censored

    @property
    def at_risk(self) -> Counts:
        """How many are still there just before each point."""
        return _from_here_on(self.leaving)

    @property
    def survival(self) -> Reals:
        """S(t) = ∏ (1 − d/n) over all points up to t."""
        return np.cumprod(1 - self.events / np.maximum(self.at_risk, 1), dtype=np.float64)

    @property
    def log_variance(self) -> Reals:
        """Greenwood's sum ∑ d / (n (n − d)), the variance of log S(t); infinite once nobody is left."""
        at_risk = self.at_risk.astype(np.float64)
        with np.errstate(divide="ignore", invalid="ignore"):
            terms = np.where(self.events > 0, self.events / (at_risk * (at_risk - self.events)), 0.0)
        return np.cumsum(terms)

    @property
    def standard_error(self) -> Reals:
        """Greenwood's standard error of S(t); 0 where the curve has reached 0, as there it is no estimate."""
        survival = self.survival
        with np.errstate(invalid="ignore"):
            return np.where(survival > 0, survival * np.sqrt(self.log_variance), 0.0)

    def interval(self, level: float) -> tuple[Reals, Reals]:
        """Return the pointwise interval of S(t), symmetric on the scale log(−log S), which never leaves [0, 1].

        R's `conf.type = "log-log"`, and what lifelines has by default. Before the first event it is the point 1, and
        where the curve has reached 0 it is the point 0.
        """
        survival = self.survival
        z = half_width(level)
        inside = (survival > 0) & (survival < 1)
        log_s = np.log(np.where(inside, survival, 0.5))
        factor = np.exp(z * np.sqrt(np.where(inside, self.log_variance, 0.0)) / log_s)
        lower = np.where(inside, np.exp(log_s / factor), survival)
        upper = np.where(inside, np.exp(log_s * factor), survival)
        return lower, upper


def first_at_most(curve: Reals, height: float) -> int | None:
    """Return the first point at which a falling curve is at most `height`; None where it never is."""
    # A product of fractions may miss one half by an ulp.
    there = np.flatnonzero(curve <= height + 1e-12)
    return int(there[0]) if len(there) else None


@dataclass(frozen=True)
class LogRank:
    """Whether groups differ. observed, expected: events of each group, and how many there would be were all alike."""

    observed: tuple[int, ...]
    expected: tuple[float, ...]
    chi2: float
    freedom: int

    @property
    def p(self) -> float:
        """How often groups that are alike would differ as much."""
        return chi2_tail(self.chi2, self.freedom)


def log_rank(groups: Sequence[LifeTable]) -> LogRank:
    """Compare groups, at least two of which have rows. Its variance is the hypergeometric one, so ties are allowed."""
    events = np.array([group.events for group in groups], dtype=np.float64)
    at_risk = np.array([group.at_risk for group in groups], dtype=np.float64)
    all_events = events.sum(axis=0)
    all_at_risk = at_risk.sum(axis=0)
    happened = all_events > 0
    share = at_risk[:, happened] / all_at_risk[happened]
    expected = share @ all_events[happened]
    tied = all_events * (all_at_risk - all_events) / np.maximum(all_at_risk - 1, 1)
    weight = tied[happened]
    variance = np.diag(share @ weight) - (share * weight) @ share.T
    difference = events.sum(axis=1) - expected
    statistic = float(difference @ np.linalg.pinv(variance, hermitian=True) @ difference)
    return LogRank(
        observed=tuple(int(count) for count in events.sum(axis=1)),
        expected=tuple(float(count) for count in expected),
        chi2=statistic,
        freedom=int(np.count_nonzero(at_risk[:, 0] > 0)) - 1,
    )


def _from_here_on(counts: Counts) -> Counts:
    return counts[::-1].cumsum()[::-1]
