"""Tabular inversion: patients are sought whose gradient is the one that was sent."""

from __future__ import annotations

from statistics import fmean
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from secagg.extras import needed

from ..attack import Curve, Effort, Finding, Line, Metric
from ..defence import Defence
from ..released import Floats, OnReleased, shown_by
from .dlg import alone, summed
from .material import Material, lung_patients

EVALUATIONS = 120
QUICK_EVALUATIONS = 40
DRAWS = 20
SITES = (1, 2, 4, 8, 16)


class TabularInversion(OnReleased):
    """Attributes of patients of all sites, each of whom has one: whether each column is high or low, and the class."""

    name: ClassVar[str] = "tabular-inversion"
    title: ClassVar[str] = "Patients' attributes, from rows whose gradient points the way of the one that was sent"
    source: ClassVar[str] = "Vero et al., TabLeak, ICML 2023"
    adversary: ClassVar[str] = "the server, curious: knows the model, and sees what is released of one patient a site"
    metric: ClassVar[Metric] = Metric(
        "attributes right (0: no more than a guess, 1: all)", success=0.5, least=-1.0, leeway=0.2
    )
    on_tables: ClassVar[bool] = True

    def held_by(self, defence: Defence) -> bool:
        return defence.protects("row")

    def weak(self) -> Defence:
        return alone(1e-5, broken="one site in the sum, and noise ÷ 100,000")

    def run(self, defence: Defence, seed: int, effort: Effort) -> Finding:
        with needed("train"):
            from .inversion import Inversion, by_lbfgs
            from .networks import smooth_mlp
        material = Material.of(effort, seed, lung_patients)
        search = by_lbfgs(QUICK_EVALUATIONS if effort.quick else EVALUATIONS)
        rebuilt = Inversion(smooth_mlp, search).rebuild(defence, material, seed)
        middle = material.public.mean(axis=0)
        truth = attributes(rebuilt.truth, rebuilt.truth_y, middle)
        right = agreement(truth, attributes(rebuilt.made, rebuilt.made_y, middle))
        known = attributes(material.public, material.public_y, middle)
        guess = guessed(truth, known)
        note = f"{right:.0%} of all attributes, a guess {guess:.0%}"
        return Finding(max(-1.0, (right - guess) / max(1 - guess, 1e-9)), 0.0, note=note)

    def in_words(self, value: float, baseline: float, defence: Defence) -> str:
        return (
            "Of what a guess gets wrong about your rows, one of each site (which columns are high, and the class), "
            f"{max(0, value):.0%} came out right from {shown_by(defence)}."
        )

    def curves(self, effort: Effort) -> tuple[Curve, ...]:
        shares = [fmean(self.run(summed(sites), seed, effort).value for seed in effort.seeds) for sites in SITES]
        line = Line("measured", list(SITES), shares)
        title = "Patients' attributes right, from the sum, by sites in it"
        return (Curve(title, "sites", "0: a guess, 1: all", [line], logarithmic=True),)


def attributes(x: Floats, y: NDArray[np.int64], middle: Floats) -> Floats:
    """Return each patient's attributes, 0 or 1: which columns are above the mean, and the class."""
    return np.concatenate([x > middle, y[:, None]], axis=1).astype(np.float64)


def guessed(truth: Floats, known: Floats) -> float:
    """Return the share that agrees with what most patients are or, if that is more, with as many other patients."""
    most = np.maximum(known.mean(axis=0), 1 - known.mean(axis=0)).mean()
    draws = len(known) // len(truth)
    others = [agreement(truth, known[draw::draws][: len(truth)]) for draw in range(min(draws, DRAWS))]
    return float(max(most, np.mean(others)))


def agreement(truth: Floats, made: Floats) -> float:
    """Return the share of attributes that agree, where each patient is joined to another of those that were made."""
    alike = (truth[:, None, :] == made[None, :, :]).mean(axis=2)
    return float(alike[linear_sum_assignment(alike, maximize=True)].mean())
