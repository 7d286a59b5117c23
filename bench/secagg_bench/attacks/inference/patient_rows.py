"""A patient with several rows: noise over rows hides each of them, and much less all of them together."""

from __future__ import annotations

from statistics import fmean
from typing import ClassVar

import numpy as np

from ..attack import Curve, Effort, Finding, Line, Metric
from ..defence import Defence, Noise
from ..released import OnReleased, released

PATIENTS = 256
"""Half of them are in the sum, two at each of 64 sites."""
ROWS = 8
"""Of each patient."""
ROWS_TRIED = (1, 2, 4, 8, 16)


class PatientRows(OnReleased):
    """Which patients are in the sum, where each would be there with several rows that are alike."""

    name: ClassVar[str] = "patient-rows"
    title: ClassVar[str] = f"Whether a patient with {ROWS} rows is in the sum"
    source: ClassVar[str] = "Levy et al., Learning with user-level privacy, NeurIPS 2021"
    adversary: ClassVar[str] = (
        "the server: sends a model in which each patient in question moves a weight of its own, and sees what is "
        "released"
    )
    metric: ClassVar[Metric] = Metric("right guesses", success=0.8, leeway=0.25)
    """Noise of z = 1 over patients lets nobody be right more often than 0.69, beside chance: Φ(1/2)."""

    def held_by(self, defence: Defence) -> bool:
        return defence.protects("patient")

    def weak(self) -> Defence:
        noise = Noise("distributed", "patient", 0.1)
        return Defence("patient-dp-broken", "noise under the sum", "bonawitz", noise=noise, broken="noise ÷ 10")

    def run(self, defence: Defence, seed: int, effort: Effort) -> Finding:
        return self._with(ROWS, defence, seed)

    def _with(self, count: int, defence: Defence, seed: int) -> Finding:
        rng = np.random.default_rng([seed, 1])
        inside = rng.choice(PATIENTS, PATIENTS // 2, replace=False)
        rows, patients = [], []
        for site in range(defence.sites):
            whose = np.repeat(inside[site :: defence.sites], count)
            rows.append(np.eye(PATIENTS)[whose])
            patients.append(whose)
        total = np.sum(released(defence, rows, seed, patients), axis=0)
        truth = np.isin(np.arange(PATIENTS), inside)
        return Finding(float(np.mean((total > np.median(total)) == truth)), 0.5)

    def curves(self, effort: Effort) -> tuple[Curve, ...]:
        lines = []
        for unit in ("row", "patient"):
            defence = Defence("", "", "bonawitz", noise=Noise("distributed", unit, 1.0))
            right = [fmean(self._with(count, defence, seed).value for seed in effort.seeds) for count in ROWS_TRIED]
            lines.append(Line(f"noise over {unit}s, z = 1", list(ROWS_TRIED), right))
        lines.append(Line("a guess", list(ROWS_TRIED), [0.5] * len(ROWS_TRIED), dashed=True))
        title = "Patients told in or out of a sum of 16, by rows of each"
        return (Curve(title, "rows of a patient", "right guesses", lines, logarithmic=True),)
