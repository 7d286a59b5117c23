"""Scores on the held-out rows, each with the interval that so many rows leave open."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.stats import binomtest, norm
from sklearn.metrics import roc_auc_score

from .data import Dataset
from .model import Model, Params
from .result import Range
from .silos import Silo

METRIC = "auc"

CONFIDENCE = 0.95

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Score:
    """auc: area under the ROC curve; accuracy: share of rows on the right side of probability ½.

    auc_range, accuracy_range: the intervals of CONFIDENCE around them, where the rows are all that is left to chance.
    """

    auc: float
    accuracy: float
    auc_range: Range
    accuracy_range: Range


def score(model: Model, params: Params, x: NDArray[np.float64], y: Rows) -> Score:
    """Score a model on rows x with labels y, both classes present."""
    return score_of(model.scores(params, x), y)


def score_of(said: NDArray[np.float64], y: Rows) -> Score:
    """Score what a model said of rows with labels y, both classes present; above 0 means class 1."""
    auc = float(roc_auc_score(y, said))
    right = int(((said > 0) == (y == 1)).sum())
    positives = int(y.sum())
    found = binomtest(right, len(y)).proportion_ci(CONFIDENCE, method="wilson")
    return Score(
        auc=auc,
        accuracy=right / len(y),
        auc_range=auc_range(auc, positives, len(y) - positives),
        accuracy_range=(float(found.low), float(found.high)),
    )


def auc_range(auc: float, positives: int, negatives: int) -> Range:
    """Return the interval of an AUC that was found on so many rows of each class.

    It holds every true AUC that is no further from the one found than its own standard error (Hanley and McNeil, 1982)
    allows: Newcombe, Statistics in Medicine 25 (2006), method 5. Unlike a bootstrap it does not shrink to a point where
    a few rows happen to be ranked without a mistake.
    """
    quantile = float(norm.ppf((1 + CONFIDENCE) / 2))
    more = (positives + negatives) / 2 - 1

    def too_far(true: float) -> float:
        variance = true * (1 - true) * (1 + more * ((1 - true) / (2 - true) + true / (1 + true)))
        return (auc - true) ** 2 - quantile**2 * variance / (positives * negatives)

    # At 0 and 1 the variance is none: the end that is sought lies beside them.
    aside = 1e-9
    low = 0.0 if auc <= aside else float(brentq(too_far, 0.0, auc * (1 - aside)))
    high = 1.0 if auc >= 1 - aside else float(brentq(too_far, auc + (1 - auc) * aside, 1.0))
    return low, high


def held_out(data: Dataset, silos: Iterable[Silo]) -> tuple[NDArray[np.float64], Rows]:
    """Return the test rows of all silos together."""
    rows = np.concatenate([silo.test for silo in silos])
    return data.x[rows], data.y[rows]
