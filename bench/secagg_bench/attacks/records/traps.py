"""Trap weights: neurons that hardly any row activates, so that what one of them sends is one row."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import fmean
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from ..attack import Attack, Curve, Effort, Finding, Line, Metric
from ..defence import Defence, Noise
from ..released import Floats, OnReleased, released
from .dlg import Dlg, alone
from .likeness import PSNR, likeness
from .material import Material, halves

ROWS = 8
"""Of each site."""
TRAPS = 16
"""That one row alone activates: so many are looked at."""
HEAD = 1.0
"""The next layer's weight: large enough that noise is small beside a row's gradient, or a clip all that cuts it."""
RIDGE = 1e-4
"""Variance that no pixel is believed to be without."""
NOISE = (1e-4, 1e-3, 1e-2, 3e-2, 1e-1, 1.0)
CURVE_SEEDS = 3


@dataclass(frozen=True)
class Traps:
    """The neurons. caught: the row of each that activates it."""

    directions: Floats
    thresholds: Floats
    head: float
    caught: NDArray[np.int64]
    tried: int

    @classmethod
    def lucky(cls, material: Material, rows: int, head: float, rng: np.random.Generator) -> Traps:
        """Draw neurons that one row in so many should activate, and keep those that hold a row which no other holds."""
        kept: dict[int, tuple[Floats, float]] = {}
        tried = 0
        while len(kept) < TRAPS:
            tried += 1
            direction: Floats = rng.normal(size=material.x.shape[1:])
            threshold = float(np.quantile(material.public @ direction, 1 - 1 / rows))
            (inside,) = np.nonzero(material.x[:rows] @ direction > threshold)
            if len(inside) == 1 and int(inside[0]) not in kept:
                kept[int(inside[0])] = direction, threshold
        directions = np.array([direction for direction, _ in kept.values()])
        thresholds = np.array([threshold for _, threshold in kept.values()])
        return cls(directions, thresholds, head, np.array(list(kept)), tried)

    def gradients(self, x: Floats, y: NDArray[np.int64]) -> Floats:
        """Return each row's gradient of the logistic loss, (rows, values): of each neuron its weights and its bias.

        The logit is head · Σ ReLU(direction · x − threshold).
        """
        above = np.maximum(x @ self.directions.T - self.thresholds, 0)
        slope = self.head * (1 / (1 + np.exp(-self.head * above.sum(axis=1))) - y)
        sent = slope[:, None, None] * (above > 0)[:, :, None] * _with_bias(x)[:, None, :]
        gradients: Floats = sent.reshape(len(x), -1)
        return gradients

    def read(self, update: Floats, noise: float, public: Floats) -> Floats:
        """Return what each neuron holds. noise: the standard deviation beside a row of norm 1.

        Of the ratio of weights to bias, noise leaves little; what is best guessed knows how rows of the kind vary.
        """
        held = update.reshape(len(self.thresholds), -1)
        held = held * np.sign(held.sum(axis=1, keepdims=True))
        if not noise:
            held = held / np.maximum(np.linalg.norm(held, axis=1, keepdims=True), 1e-30)
        known = _with_bias(public)
        known = known / np.linalg.norm(known, axis=1, keepdims=True)
        spread = np.cov(known.T) + RIDGE * np.eye(known.shape[1])
        trust = spread @ np.linalg.inv(spread + noise**2 * np.eye(len(spread)))
        guessed = known.mean(axis=0) + (held - known.mean(axis=0)) @ trust.T
        made: Floats = guessed[:, :-1] / guessed[:, -1:]
        return made


def _with_bias(x: Floats) -> Floats:
    return np.concatenate([x, np.ones((len(x), 1))], axis=1)


class TrapWeights(OnReleased):
    """Rows that were alone in a trap."""

    name: ClassVar[str] = "trap-weights"
    title: ClassVar[str] = "Rows held by neurons that no other row activates"
    source: ClassVar[str] = "Boenisch et al., When the Curious Abandon Honesty, EuroS&P 2023"
    adversary: ClassVar[str] = (
        "the server: sends a model with traps, sees what is released, knows rows of the kind; "
        "the worst case, where a trap by luck holds one row"
    )
    metric: ClassVar[Metric] = PSNR

    def held_by(self, defence: Defence) -> bool:
        return defence.protects("row")

    def weak(self) -> Defence:
        noise = Noise("distributed", "row", 1e-3)
        return Defence("row-dp-broken", "noise under the sum", "bonawitz", noise=noise, broken="noise ÷ 1,000")

    def run(self, defence: Defence, seed: int, effort: Effort) -> Finding:
        material = Material.of(effort, seed, halves)
        sites = material.sites(defence.sites, ROWS)
        head = HEAD if defence.clip is None else min(HEAD, defence.clip)
        traps = Traps.lucky(material, sites[-1].stop, head, np.random.default_rng([seed, 2]))
        seen = released(defence, [traps.gradients(material.x[site], material.y[site]) for site in sites], seed)
        made = traps.read(np.sum(seen, axis=0), noise_beside(defence), material.public)
        found = likeness(defence, material, material.x[traps.caught], made)
        note = f"{len(traps.caught)} traps held a row that was alone and that no other held, of {traps.tried} drawn"
        return Finding(found.value, found.baseline, found.figures, note)

    def curves(self, effort: Effort) -> tuple[Curve, ...]:
        inverted = [self._mean(Dlg(), alone(noise), effort) for noise in NOISE]
        noisy = [Defence("", "", "bonawitz", noise=Noise("distributed", "row", noise)) for noise in NOISE]
        trapped = [self._mean(self, defence, effort) for defence in noisy]
        lines = [
            Line("trap weights, from a sum of 16", list(NOISE), trapped),
            Line("dlg, from one site's update", list(NOISE), inverted),
        ]
        return (Curve("Digits rebuilt, by noise over rows", "noise multiplier z", "PSNR, dB", lines, logarithmic=True),)

    @staticmethod
    def _mean(attack: Attack, defence: Defence, effort: Effort) -> float:
        return fmean(
            attack.run(defence, seed, effort).value for seed in effort.seeds[: 1 if effort.quick else CURVE_SEEDS]
        )


def noise_beside(defence: Defence) -> float:
    """Return the standard deviation of the noise in the sum beside a row's gradient, which the clip cuts to 1."""
    if defence.noise is None:
        return 0.0
    return defence.noise.multiplier * (defence.sites**0.5 if defence.noise.mode == "local" else 1)
