"""Deep leakage from gradients: pictures are sought whose gradient is the one that was sent."""

from __future__ import annotations

from statistics import fmean
from typing import ClassVar

from secagg.extras import needed

from ..attack import Curve, Effort, Finding, Line, Metric
from ..defence import Defence, Noise
from ..released import OnReleased
from .likeness import PSNR, likeness
from .material import Material, digits

EVALUATIONS = 120
QUICK_EVALUATIONS = 30
CURVE_SEEDS = 3
SITES = (1, 2, 4, 8, 16)


class Dlg(OnReleased):
    """Digits of all sites, each of whom has one, from the gradient of a fresh network."""

    name: ClassVar[str] = "dlg"
    title: ClassVar[str] = "Pictures whose gradient is the one that was sent, found by L-BFGS"
    source: ClassVar[str] = "Zhu, Liu, Han, Deep Leakage from Gradients, NeurIPS 2019; labels: Zhao et al., iDLG, 2020"
    adversary: ClassVar[str] = "the server, curious: knows the model, and sees what is released of one row a site"
    metric: ClassVar[Metric] = PSNR

    def held_by(self, defence: Defence) -> bool:
        return defence.protects("row")

    def weak(self) -> Defence:
        return alone(1e-5, broken="one site in the sum, and noise ÷ 100,000")

    def run(self, defence: Defence, seed: int, effort: Effort) -> Finding:
        with needed("train"):
            from .inversion import Inversion, by_lbfgs
            from .networks import sigmoid_cnn
        material = Material.of(effort, seed, digits)
        search = by_lbfgs(QUICK_EVALUATIONS if effort.quick else EVALUATIONS)
        rebuilt = Inversion(sigmoid_cnn, search).rebuild(defence, material, seed)
        return likeness(defence, material, rebuilt.truth, rebuilt.made)

    def curves(self, effort: Effort) -> tuple[Curve, ...]:
        seeds = effort.seeds[: 1 if effort.quick else CURVE_SEEDS]
        found = [[self.run(summed(sites), seed, effort) for seed in seeds] for sites in SITES]
        lines = [
            Line("rebuilt", list(SITES), [fmean(one.value for one in runs) for runs in found]),
            Line("others of the kind", list(SITES), [fmean(one.baseline for one in runs) for runs in found], True),
        ]
        return (Curve("Digits rebuilt from the sum, by sites in it", "sites", "PSNR, dB", lines, logarithmic=True),)


def summed(sites: int) -> Defence:
    """Return a plain secure sum of so many."""
    return Defence("", "", "bonawitz", sites=sites)


def alone(multiplier: float, broken: str = "") -> Defence:
    """Return noise of a site's own over its rows, when the sum is of no other: where inversion is strongest."""
    noise = Noise("local", "row", multiplier)
    return Defence("alone", "noise of the one site in the sum", "bonawitz", noise=noise, sites=1, broken=broken)
