"""How well scores tell members from others: true positives at few false ones, the area under the ROC curve, and it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..attack import Line, Metric
from ..released import Floats

FEW = 0.01
FEWEST = 0.001
AT_FEW = Metric("true positives at 1 % false ones", success=0.1, leeway=0.09)
"""Success is ten times a guess. Noise of z = 1 lets nobody come to more than 0.092: Φ(Φ⁻¹(0.01) + 1)."""

RATES = tuple(float(rate) for rate in np.geomspace(FEWEST, 1, 25))
GUESS = Line("a guess", list(RATES), list(RATES), dashed=True)


def true_positives(members: Floats, others: Floats, false_positives: float) -> float:
    """Return the share of members above a threshold that at most so large a share of the others passes."""
    passing = int(false_positives * len(others))
    threshold = np.sort(others)[::-1][passing] if passing < len(others) else -np.inf
    return float(np.mean(members > threshold))


def area(members: Floats, others: Floats) -> float:
    """Return the area under the ROC curve."""
    order = np.argsort(np.concatenate([members, others]), kind="stable")
    ranks = np.empty(len(order))
    ranks[order] = np.arange(1, len(order) + 1)
    above = ranks[: len(members)].sum() - len(members) * (len(members) + 1) / 2
    return float(above / (len(members) * len(others)))


def roc(name: str, scores: Sequence[tuple[Floats, Floats]]) -> Line:
    """Return one line of a ROC curve: the mean over (members' scores, others' scores)."""
    shares = [[true_positives(members, others, rate) for rate in RATES] for members, others in scores]
    return Line(name, list(RATES), [float(share) for share in np.mean(shares, axis=0)])


def said(members: Floats, others: Floats) -> str:
    """Return the other figures in words."""
    few = true_positives(members, others, FEWEST)
    return f"AUC {area(members, others):.3f}; true positives at 0.1 % false ones: {few:.3f}"
