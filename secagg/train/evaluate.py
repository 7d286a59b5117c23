"""Scores on the held-out rows, and the two comparisons: each hospital alone, and all rows in one place."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from .data import Dataset
from .fedavg import LocalTraining, local_update
from .model import Model, Params
from .silos import Silo
from .stream import SiteStream

METRIC = "auc"


@dataclass(frozen=True)
class Score:
    """auc: area under the ROC curve; accuracy: share of rows on the right side of probability ½."""

    auc: float
    accuracy: float


def score(model: Model, params: Params, x: NDArray[np.float64], y: NDArray[np.int64]) -> Score:
    """Score a model on rows x with labels y, both classes present."""
    logits = model.scores(params, x)
    return Score(float(roc_auc_score(y, logits)), float(np.mean((logits > 0) == (y == 1))))


def held_out(data: Dataset, silos: Iterable[Silo]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return the test rows of all silos together."""
    rows = np.concatenate([silo.test for silo in silos])
    return data.x[rows], data.y[rows]


def train_alone(
    model: Model,
    start: Params,
    data: Dataset,
    rows: NDArray[np.int64],
    how: LocalTraining,
    streams: Iterable[SiteStream],
) -> Params:
    """Train on these rows only: same optimiser and number of steps, but no noise, as nothing leaves.

    streams: one for each round.
    """
    quiet = replace(how, noise_multiplier=0.0, lot_size=None, prox_mu=0.0)
    params = start
    for stream in streams:
        update = local_update(model, params, data.x[rows], data.y[rows], quiet, stream)
        params = {name: params[name] + update.delta[name] for name in params}
    return params


def streams_alone(rows: NDArray[np.int64], rounds: int, seed: int) -> Iterator[SiteStream]:
    """Yield a stream for each round on these rows. Nothing here is secret, so that its sampling may follow the seed."""
    secret = hashlib.sha256(b"secagg train comparison %d" % seed).digest()
    return (SiteStream(secret, int(rows[0]), number) for number in range(1, rounds + 1))
