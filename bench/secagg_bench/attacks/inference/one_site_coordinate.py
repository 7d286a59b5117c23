"""A coordinate that one site alone touched passes through the sum as it is: a rare diagnosis, and what became of it."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from ..attack import Effort, Finding, Metric
from ..defence import Defence
from ..released import Floats, OnReleased, released
from .clinical import Labels

COMMON = 50
"""Codes that patients of every site have."""
OWN = 16
"""Patients of each site, each with a code that no other has, anywhere."""
CODES = 2
"""Common codes of a patient."""


class OneSiteCoordinate(OnReleased):
    """Whether the one patient with a rare code is ill."""

    name: ClassVar[str] = "one-site-coordinate"
    title: ClassVar[str] = "Whether the one patient with a rare code is ill, from the code's own coordinate"
    source: ClassVar[str] = "Melis et al., Exploiting unintended feature leakage in collaborative learning, S&P 2019"
    adversary: ClassVar[str] = "the server, curious: knows which codes are rare, and sees what is released"
    metric: ClassVar[Metric] = Metric("share of such patients whose label is known", success=0.85, leeway=0.25)
    """Noise of z = 1 lets nobody be right more often than 0.69, beside chance: Φ(1/2)."""

    def held_by(self, defence: Defence) -> bool:
        return defence.protects("row")

    def weak(self) -> Defence:
        return Defence("in-the-clear", "updates in the clear", broken="nothing is summed")

    def run(self, defence: Defence, seed: int, effort: Effort) -> Finding:
        rng = np.random.default_rng(seed)
        ill = rng.integers(0, 2, (defence.sites, OWN))
        rows = [_gradients(site, defence.sites, labels, rng) for site, labels in enumerate(ill)]
        total = np.sum(released(defence, rows, seed), axis=0)
        told = total[COMMON:].reshape(defence.sites, OWN) < 0
        return Finding(float(np.mean(told == ill)), max(float(ill.mean()), 1 - float(ill.mean())))


def _gradients(site: int, sites: int, ill: Labels, rng: np.random.Generator) -> Floats:
    """Return the gradients of a site's patients: of a logistic model with one weight a code, at its start."""
    rows = np.zeros((OWN, COMMON + sites * OWN))
    for patient, label in enumerate(ill):
        codes = [*rng.choice(COMMON, CODES, replace=False), COMMON + site * OWN + patient]
        rows[patient, codes] = 0.5 - label
    return rows
