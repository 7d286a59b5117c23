"""Cosine inversion: as `dlg`, for networks and pictures as they are, with a taste for smooth pictures."""

from __future__ import annotations

from statistics import fmean
from typing import ClassVar

from secagg.extras import needed

from ..attack import Curve, Effort, Finding, Line, Metric
from ..defence import Defence
from ..released import OnReleased
from .dlg import alone, summed
from .likeness import PSNR, likeness
from .material import CROP, Material, crops

ITERATIONS = 150
QUICK_ITERATIONS = 60
SMOOTH = 0.01
SITES = (1, 4, 16)
CURVE_SEEDS = 3


class CosineInversion(OnReleased):
    """Crops of photographs of all sites, each of whom has one, from the gradient of dense layers, which leak most."""

    name: ClassVar[str] = "cosine-inversion"
    title: ClassVar[str] = "Smooth pictures whose gradient points the way of the one that was sent"
    source: ClassVar[str] = "Geiping et al., Inverting Gradients, NeurIPS 2020"
    adversary: ClassVar[str] = "the server, curious: knows the model, and sees what is released of one row a site"
    metric: ClassVar[Metric] = PSNR

    def held_by(self, defence: Defence) -> bool:
        return defence.protects("row")

    def weak(self) -> Defence:
        return alone(1e-5, broken="one site in the sum, and noise ÷ 100,000")

    def run(self, defence: Defence, seed: int, effort: Effort) -> Finding:
        return self._inverted("mlp", trained=False, defence=defence, seed=seed, effort=effort)

    def _inverted(self, network: str, *, trained: bool, defence: Defence, seed: int, effort: Effort) -> Finding:
        with needed("train"):
            from .inversion import Inversion, by_cosine
            from .networks import mlp, relu_cnn
        material = Material.of(effort, seed, crops)
        search = by_cosine(QUICK_ITERATIONS if effort.quick else ITERATIONS, SMOOTH, CROP)
        inversion = Inversion(mlp if network == "mlp" else relu_cnn, search, trained)
        rebuilt = inversion.rebuild(defence, material, seed)
        return likeness(defence, material, rebuilt.truth, rebuilt.made)

    def curves(self, effort: Effort) -> tuple[Curve, ...]:
        return tuple(self._curve(effort, trained=trained) for trained in (False, True))

    def _curve(self, effort: Effort, *, trained: bool) -> Curve:
        seeds = effort.seeds[: 1 if effort.quick else CURVE_SEEDS]
        lines = []
        for network, name in (("mlp", "dense layers"), ("cnn", "convolutions")):
            found = [
                [
                    self._inverted(network, trained=trained, defence=summed(sites), seed=seed, effort=effort)
                    for seed in seeds
                ]
                for sites in SITES
            ]
            lines.append(Line(name, list(SITES), [fmean(one.value for one in runs) for runs in found]))
        guesses = [fmean(one.baseline for one in runs) for runs in found]
        lines.append(Line("others of the kind", list(SITES), guesses, dashed=True))
        title = f"Crops rebuilt from the sum of a {'trained' if trained else 'fresh'} network, by sites in it"
        return Curve(title, "sites", "PSNR, dB", lines, logarithmic=True)
