"""What the federated model is held against: all rows in one place, and each site alone. Both are trained by
scikit-learn until they converge, with no noise and no clipping: whoever trains at home needs neither.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from .evaluate import Rows, Score, held_out, score_of
from .result import Comparison, Range
from .setup import Setup

MOST_STEPS = 10_000


@dataclass(frozen=True)
class Alone:
    """How one site fares alone on everyone's held-out rows. only: the class of all its training rows, if it is one."""

    score: Score
    only: str | None


@dataclass(frozen=True)
class Comparisons:
    """Every site alone, their median with the worst and the best, and the model of all rows in one place."""

    sites: tuple[Alone, ...]
    alone: Comparison
    centralised: Comparison


def how(setup: Setup) -> str:
    """Say how the comparisons are trained."""
    kind = type(_classifier(setup)).__name__
    return (
        f"scikit-learn's {kind} with L2 penalty ½‖w‖², trained until it converges, without clipping or noise, on "
        "features that are standardised by the rows it is trained on"
    )


def compare(setup: Setup) -> Comparisons:
    """Train the comparisons and score them on everyone's held-out rows."""
    held = held_out(setup.data, setup.silos)
    sites = tuple(_alone(setup, silo.train, held) for silo in setup.silos)
    scores = [own.score for own in sites]
    pooled = _alone(setup, np.concatenate([silo.train for silo in setup.silos]), held)
    return Comparisons(
        sites=sites,
        alone=Comparison(
            label="each site alone, median",
            auc=median(own.auc for own in scores),
            accuracy=median(own.accuracy for own in scores),
            auc_range=_from_to([own.auc for own in scores]),
            accuracy_range=_from_to([own.accuracy for own in scores]),
        ),
        centralised=Comparison("all rows in one place", **asdict(pooled.score)),
    )


def _alone(setup: Setup, rows: Rows, held: tuple[NDArray[np.float64], Rows]) -> Alone:
    labels = np.unique(setup.data.y[rows])
    if len(labels) > 1:
        return Alone(_trained(setup, rows, held), None)
    # Nothing tells the classes apart here: such rows can only give the same answer for every row.
    (label,) = labels
    _, y = held
    return Alone(score_of(np.full(len(y), 1.0 if label else -1.0), y), setup.data.classes[label])


def _trained(setup: Setup, rows: Rows, held: tuple[NDArray[np.float64], Rows]) -> Score:
    x, y = held
    model = make_pipeline(StandardScaler(), _classifier(setup))
    model.fit(setup.data.x[rows], setup.data.y[rows])
    return score_of(model.predict_proba(x)[:, 1] - 0.5, y)


def _classifier(setup: Setup) -> Any:
    """Return an untrained model of the same class as the federated one. Both have the same penalty."""
    training = setup.config.training
    if training.model == "logistic":
        return LogisticRegression(C=1.0, max_iter=MOST_STEPS)
    return MLPClassifier(
        (training.hidden,),
        activation="tanh",
        solver="lbfgs",
        alpha=1.0,
        max_iter=MOST_STEPS,
        max_fun=10 * MOST_STEPS,
        random_state=setup.config.run.seed,
    )


def _from_to(values: list[float]) -> Range:
    return min(values), max(values)
