"""Analytic imprint: a layer whose neurons sort rows into bins, so that neighbouring gradients differ by one row."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import fmean
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from ..attack import Curve, Effort, Finding, Line, Metric
from ..defence import Defence, Noise
from ..released import Floats, OnReleased, released, shown_by
from .likeness import pictures, recovered
from .material import Material, halves

BINS = 256
ROWS = 8
"""Of each site."""
SMOOTH = 50
"""Draws for each public row, where thresholds are chosen."""
SITES = (1, 4, 16, 64)
FEW_SITES = 16
DRAW = 1000
"""From the seed of one draw to that of the next."""
NOISE = (1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0)
HEAD = 0.02
"""The next layer's weight: so small that every row's gradient has about the same size, and no smaller, as noise would
then drown it."""


@dataclass(frozen=True)
class Bait:
    """The layer that the server sends: every neuron measures rows alike, and starts at a threshold of its own."""

    direction: Floats
    thresholds: Floats
    centre: float
    head: float

    @classmethod
    def made_of(cls, public: Floats, head: float, rng: np.random.Generator) -> Bait:
        """Make one whose bins hold about as many of these rows each."""
        direction = rng.normal(size=public.shape[1]) / np.sqrt(public.shape[1])
        measured = np.repeat(public @ direction, SMOOTH)
        # Of few public rows the quantiles are ragged, and bins then hold unequal shares of the rows to come.
        measured += rng.normal(0, measured.std() * len(public) ** -0.2, len(measured))
        thresholds = np.quantile(measured, np.arange(BINS) / BINS)
        return cls(direction, thresholds, float(_outputs(measured[::SMOOTH], thresholds).mean()), head)

    def gradients(self, x: Floats, y: NDArray[np.int64]) -> Floats:
        """Return each row's gradient of the logistic loss: of the layer's weights and then its biases, (rows, values).

        Its logit is head · (Σ ReLU(direction · x − threshold) − centre).
        """
        above = x @ self.direction
        active = (above[:, None] > self.thresholds).astype(np.float64)
        logits = self.head * (_outputs(above, self.thresholds) - self.centre)
        slope = self.head * (1 / (1 + np.exp(-logits)) - y)
        biases = slope[:, None] * active
        weights = biases[:, :, None] * x[:, None, :]
        return np.concatenate([weights.reshape(len(x), -1), biases], axis=1)

    def read(self, update: Floats) -> Floats:
        """Return a candidate for each bin: what neighbouring neurons do not share, its weights over its bias."""
        bins = len(self.thresholds)
        weights = update[:-bins].reshape(bins, -1)
        biases = update[-bins:]
        own_weights = weights - np.concatenate([weights[1:], np.zeros((1, weights.shape[1]))])
        own_biases = biases - np.append(biases[1:], 0)
        filled = np.abs(own_biases) > self.head * 1e-3
        candidates: Floats = own_weights[filled] / own_biases[filled, None]
        return candidates


def head_for(defence: Defence) -> float:
    """Return a weight with which no value is clipped: the server knows the clip, and chooses what it sends."""
    return HEAD if defence.clip is None else min(HEAD, defence.clip / ROWS)


def _outputs(measured: Floats, thresholds: Floats) -> Floats:
    total: Floats = np.maximum(measured[:, None] - thresholds, 0).sum(axis=1)
    return total


class Imprint(OnReleased):
    """Rows of all sites, read from the sum of their gradients."""

    name: ClassVar[str] = "imprint"
    title: ClassVar[str] = "Rows read from the gradient of a layer made for it"
    source: ClassVar[str] = "Fowl et al., Robbing the Fed, ICLR 2022"
    adversary: ClassVar[str] = (
        "the server: sends a model with a layer of its own making, sees what is released, and knows rows of the kind"
    )
    metric: ClassVar[Metric] = Metric("share of rows recovered", success=0.1)
    on_tables: ClassVar[bool] = True

    def held_by(self, defence: Defence) -> bool:
        return defence.protects("row")

    def weak(self) -> Defence:
        noise = Noise("distributed", "row", 1e-5)
        return Defence("row-dp-broken", "noise under the sum", "bonawitz", noise=noise, broken="noise ÷ 100,000")

    def run(self, defence: Defence, seed: int, effort: Effort) -> Finding:
        material = Material.of(effort, seed, halves)
        sites = material.sites(defence.sites, ROWS)
        bait = Bait.made_of(material.public, head_for(defence), np.random.default_rng([seed, 2]))
        seen = released(defence, [bait.gradients(material.x[site], material.y[site]) for site in sites], seed)
        candidates = np.concatenate([bait.read(update) for update in seen])
        truth = material.x[: sites[-1].stop]
        guessed = recovered(truth, material.public[:BINS])
        figures = pictures(defence, truth, candidates, material.shape)
        return Finding(float(recovered(truth, candidates).mean()), float(guessed.mean()), figures)

    def in_words(self, value: float, baseline: float, defence: Defence) -> str:
        rows = defence.sites * ROWS
        guessed = f" ({round(baseline * rows)} by guessing)" if baseline else ""
        return f"{round(value * rows)} of {rows} of your rows came back from {shown_by(defence)}{guessed}."

    def curves(self, effort: Effort) -> tuple[Curve, ...]:
        shares = [self._mean(Defence("", "", "bonawitz", sites=sites), effort, FEW_SITES // sites) for sites in SITES]
        predicted = [(1 - 1 / BINS) ** (sites * ROWS - 1) for sites in SITES]
        noisy = [
            self._mean(Defence("", "", "bonawitz", noise=Noise("distributed", "row", noise)), effort) for noise in NOISE
        ]
        return (
            Curve(
                "Rows recovered from the sum, by sites in it",
                "sites",
                "share recovered",
                [Line("measured", list(SITES), shares), Line("alone in its bin", list(SITES), predicted, dashed=True)],
                logarithmic=True,
            ),
            Curve(
                "Rows recovered from the sum, by noise over rows",
                "noise multiplier z",
                "share recovered",
                [Line("measured", list(NOISE), noisy)],
                logarithmic=True,
            ),
        )

    def _mean(self, defence: Defence, effort: Effort, draws: int = 1) -> float:
        """Return the mean over the seeds. draws: of each, where one has too few rows to say much."""
        seeds = [seed + DRAW * draw for draw in range(max(1, draws)) for seed in effort.seeds]
        return fmean(self.run(defence, seed, effort).value for seed in seeds)
