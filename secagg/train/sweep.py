"""What another ε, or fewer sites, would give: the same training again, with the same survivors and an ordinary mean. It
differs from the secure one by its rounding only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np

from .evaluate import Score, held_out, score
from .model import Params
from .privacy import LARGEST_EPSILON
from .result import Sweep, SweepPoint
from .rounds import Outcome, exact_mean, moved, train_site
from .setup import Setup, randomness_for, under_epsilon
from .stream import SECRET_BYTES

EPSILONS = (0.1, 1 / 3, 1.0, 3.0)
"""The values tried, as multiples of the ε asked for; beside them training without noise."""

SHARES = (0.25, 0.5, 0.75, 1.0)
"""The numbers of sites tried, as shares of all."""

LEAST_SITES = 3

DRAWS = 3
"""Trainings for each value: one draw of the noise alone says little."""


@dataclass(frozen=True)
class Trial:
    """One value of the setting, and the run with it. sites: how many of them take part, drawn anew each time."""

    value: float | None
    setup: Setup
    sites: int


def trials_of(setup: Setup, setting: str) -> tuple[Trial, ...]:
    """Return what to train for a sweep over "epsilon" or "sites". Raises: ParameterError (a noise out of reach)."""
    everyone = len(setup.silos)
    if setting == "sites":
        counts = sorted({max(LEAST_SITES, round(share * everyone)) for share in SHARES})
        return tuple(Trial(count, setup, count) for count in counts)
    asked = setup.config.privacy.epsilon
    assert asked is not None  # TrainConfig refuses a sweep over ε where there is none
    values = [float(f"{multiple * asked:.2g}") if multiple != 1 else asked for multiple in EPSILONS]
    noised = [Trial(value, under_epsilon(setup, value), everyone) for value in values if value <= LARGEST_EPSILON]
    return (*noised, Trial(None, under_epsilon(setup, None), everyone))


def sweep(setting: str, trials: Sequence[Trial], outcome: Outcome, tell: Callable[[str], None]) -> Sweep:
    """Train for every trial, DRAWS times each; `tell` hears of each training before it begins."""
    points = []
    for trial in trials:
        scores = []
        for draw in range(DRAWS):
            shown = "no noise" if trial.value is None else f"{trial.value:g}"
            tell(f"sweep over {setting}: {shown}, training {draw + 1} of {DRAWS}")
            scores.append(_again(trial, setting, outcome, draw))
        points.append(_point(trial.value, scores))
    spent = [trial.setup.config.privacy.epsilon for trial in trials]
    together = DRAWS * sum(value for value in spent if value is not None)
    return Sweep(setting, tuple(points), DRAWS, together or None)


def _again(trial: Trial, setting: str, outcome: Outcome, draw: int) -> Score:
    setup = trial.setup
    purpose = f"sweep over {setting}: {trial.value}, training {draw}"
    secret = randomness_for(setup.config, purpose).bytes(SECRET_BYTES)
    chosen = np.random.default_rng([setup.config.run.seed, draw]).permutation(len(setup.silos))[: trial.sites] + 1
    params: Params = setup.initial
    for record in outcome.records:
        survivors = tuple(site for site in record.survivors if site in chosen)
        if survivors:
            silos = [setup.silos[site - 1] for site in survivors]
            updates = {silo.id: train_site(setup, params, silo, secret, record.round) for silo in silos}
            params = moved(params, exact_mean(setup, updates, survivors))
    return score(setup.model, params, *held_out(setup.data, setup.silos))


def _point(value: float | None, scores: Sequence[Score]) -> SweepPoint:
    aucs = [one.auc for one in scores]
    accuracies = [one.accuracy for one in scores]
    return SweepPoint(
        value=value,
        auc=median(aucs),
        accuracy=median(accuracies),
        auc_range=(min(aucs), max(aucs)),
        accuracy_range=(min(accuracies), max(accuracies)),
    )
