"""Flower's client-side clipping: noise for sites that all weigh the same, under a mean in which they do not."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import numpy as np

from secagg.extras import needed
from secagg.privacy.views import epsilon

from ..attack import Effort, Finding, Metric
from ..defence import DELTA, Defence
from ..released import Floats, released, view_of
from .shipped import FLOWER, OnFramework, silent

LENGTH = 4000
CLIP = 1.0
MULTIPLIER = 1.0
EXAMPLES = (10, 12, 20, 25, 30, 35, 40, 60, 90, 105)
"""Of each node: hospitals, of which some are larger."""
LARGEST = len(EXAMPLES)


class FlowerClientDp(OnFramework):
    """What is really spent on the largest site, where the noise was chosen as if all sites weighed the same."""

    name: ClassVar[str] = "flower-client-dp"
    title: ClassVar[str] = "The largest site's ε, under noise that counts on sites of one size"
    source: ClassVar[str] = "McMahan et al., Learning Differentially Private Recurrent Language Models, ICLR 2018"
    adversary: ClassVar[str] = (
        "whoever sees the model, and knows all updates but one. Flower has no accountant here; with one it refuses "
        "weights that differ"
    )
    metric: ClassVar[Metric] = Metric("ε of one round ÷ the promised ε", success=1.25, most=1000.0)
    framework: ClassVar[tuple[str, str]] = FLOWER
    part: ClassVar[str] = "DifferentialPrivacyClientSideFixedClipping around FedAvg"

    def no_view(self, defence: Defence) -> str:
        return "" if defence.noise else "no ε is promised"

    def view(self, defence: Defence) -> str:
        if defence.broken or defence.noise is None:
            return defence.title
        # Of one row each, a patient's and a row's noise are one and the same.
        noise = replace(defence.noise, unit="row") if defence.noise.unit == "patient" else defence.noise
        return view_of(replace(defence, noise=noise))

    def held_by(self, defence: Defence) -> bool:
        return defence.noise is not None

    def run(self, defence: Defence, seed: int, effort: Effort) -> Finding:
        direction = np.random.default_rng(seed).normal(size=LENGTH)
        update = CLIP * direction / np.linalg.norm(direction)
        multiplier, promised = as_shipped(update, seed) if defence.broken else ours(defence, update, seed)
        spent = epsilon([multiplier], DELTA)
        said = epsilon([promised], DELTA)
        assert spent is not None
        assert said is not None
        note = f"ε = {spent:.2f} at δ = {DELTA:g}, {said:.2f} promised"
        return Finding(spent / said, 1.0, note=note)


def as_shipped(update: Floats, seed: int) -> tuple[float, float]:
    """Return the noise multiplier that the largest site has of Flower's noise, and the one that was asked for."""
    with needed("flower"):
        from flwr.clientapp.mod import fixedclipping_mod
        from flwr.serverapp.strategy import DifferentialPrivacyClientSideFixedClipping, FedAvg

        from . import flower_round

    examples = dict(enumerate(EXAMPLES, start=1))
    tiny = 1e-9 * update  # Flower divides by an update's norm

    def mean(largest: Floats, multiplier: float) -> Floats:
        updates = {**dict.fromkeys(examples, tiny), LARGEST: largest}
        nodes = flower_round.Nodes(updates, examples, (fixedclipping_mod,))
        strategy = DifferentialPrivacyClientSideFixedClipping(FedAvg(), multiplier, CLIP, len(EXAMPLES))
        return flower_round.train(strategy, nodes).aggregated

    with silent(seed):
        exact = mean(update, 0.0)
        without = mean(tiny, 0.0)
        noisy = mean(update, MULTIPLIER)
    return float(np.std(noisy - exact) / np.linalg.norm(exact - without)), MULTIPLIER


def ours(defence: Defence, update: Floats, seed: int) -> tuple[float, float]:
    """Return the same of a defence of ours, for somebody who sends twice what the clip lets by."""
    noise = defence.noise
    assert noise is not None
    nobody = [np.zeros((1, LENGTH)) for _ in range(defence.sites)]
    somebody = [2 * noise.clip * update[None, :], *nobody[1:]]
    (without,) = released(defence, nobody, seed)
    (with_it,) = released(defence, somebody, seed)
    sensitivity = abs(float((with_it - without) @ update))
    return float(np.std(without)) / sensitivity, noise.multiplier
