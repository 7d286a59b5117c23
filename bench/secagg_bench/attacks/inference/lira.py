"""LiRA: a row's loss under the trained model, beside what it is under models trained with it and without it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from ..attack import Attack, Curve, Effort, Finding, Metric
from ..defence import Defence, Noise
from ..released import Floats, clipped, released, view_of
from .clinical import Labels, Table, deviation
from .scores import AT_FEW, FEW, GUESS, roc, said, true_positives

ROWS = 4
"""Of each site."""
FEATURES = 400
NEAR = 0.15
"""How far one row's influence reaches, in units of the usual distance: so near that a model learns rows by heart."""
ROUNDS = 2
RATE = 100.0
SHADOWS = 64
SCORED = 512
"""Rows in all whose membership is guessed, half of them members: as many models are attacked as that takes."""

NOISE = (None, 0.3, 1.0)

Summed = Callable[[list[Floats]], Floats]


class Lira(Attack):
    """Which rows a model was trained on. Noise of z = 1 lets nobody come to more than 0.18: Φ(Φ⁻¹(0.01) + √rounds)."""

    name: ClassVar[str] = "lira"
    title: ClassVar[str] = "Whether a patient's row was trained on, from the finished model"
    source: ClassVar[str] = "Carlini et al., Membership inference attacks from first principles (LiRA), S&P 2022"
    adversary: ClassVar[str] = (
        f"whoever gets the model after {ROUNDS} rounds: has the row in question, and trains {SHADOWS} models "
        "alike on rows of the kind"
    )
    metric: ClassVar[Metric] = Metric(AT_FEW.name, success=0.2, leeway=0.17)
    on_tables: ClassVar[bool] = True

    def no_view(self, defence: Defence) -> str:
        return ""

    def view(self, defence: Defence) -> str:
        return f"the model, of {ROUNDS} times the {view_of(_summing(defence))}"

    def held_by(self, defence: Defence) -> bool:
        return defence.protects("row", ROUNDS)

    def weak(self) -> Defence:
        noise = Noise("distributed", "row", 0.01)
        return Defence("row-dp-broken", "noise under the sum", "bonawitz", noise=noise, broken="noise ÷ 100")

    def run(self, defence: Defence, seed: int, effort: Effort) -> Finding:
        members, others = scores(_summing(defence), seed, effort)
        return Finding(true_positives(members, others, FEW), FEW, note=said(members, others))

    def in_words(self, value: float, baseline: float, defence: Defence) -> str:
        return (
            f"From a finished model, {value:.0%} of your rows that it was trained on were recognised, with {FEW:.0%} "
            "of the others taken for them by mistake."
        )

    def curves(self, effort: Effort) -> tuple[Curve, ...]:
        lines = []
        for multiplier in NOISE:
            noise = None if multiplier is None else Noise("distributed", "row", multiplier)
            defence = Defence("", "", "bonawitz", noise=noise)
            name = "no noise" if multiplier is None else f"row noise z = {multiplier:g}"
            lines.append(roc(name, [scores(defence, seed, effort) for seed in effort.seeds]))
        title = "Rows told from others by a finished model"
        return (Curve(title, "false positives", "true positives", [*lines, GUESS], logarithmic=True),)


def _summing(defence: Defence) -> Defence:
    """Return what makes the same model: that each update is seen, too, does not change it."""
    return replace(defence, scheme=defence.scheme or "bonawitz")


def scores(defence: Defence, seed: int, effort: Effort) -> tuple[Floats, Floats]:
    """Return the scores of rows that models were trained on and of rows that they were not."""
    table = Table.of(effort, seed)
    count = defence.sites * ROWS
    table.enough(count, count, "not in the sum")
    rng = np.random.default_rng([seed, 1])
    features = _features(table[: 2 * count].x, rng)
    labels = table.y[: 2 * count]

    def imitated(gradients: list[Floats]) -> Floats:
        return _imitated(defence, gradients, rng)

    shadows = [rng.permutation(2 * count)[:count] for _ in range(SHADOWS)]
    losses = np.array([_confidence(_trained(features, labels, rows, imitated), features, labels) for rows in shadows])
    inside = np.array([np.isin(np.arange(2 * count), rows) for rows in shadows])
    members, others = [], []
    for number in range(max(1, SCORED // (2 * count))):
        rows = rng.permutation(2 * count)

        def summed(gradients: list[Floats], target: int = number) -> Floats:
            (total,) = released(defence, gradients, seed * SCORED + target)
            return total

        model = _trained(features, labels, rows[:count], summed)
        ratios = _ratios(_confidence(model, features, labels), losses, inside)
        members.append(ratios[rows[:count]])
        others.append(ratios[rows[count:]])
    return np.concatenate(members), np.concatenate(others)


def _imitated(defence: Defence, gradients: list[Floats], rng: np.random.Generator) -> Floats:
    """Return a sum as the attacker makes it at home: clips and noise are public."""
    noise = defence.noise
    if noise is not None and noise.unit != "institution":
        gradients = [clipped(site, noise.clip) for site in gradients]
    updates = np.array([site.sum(axis=0) for site in gradients])
    if defence.clip is not None:
        updates = updates.clip(-defence.clip, defence.clip)
    if noise is not None and noise.unit == "institution":
        updates = clipped(updates, noise.clip)
    total: Floats = updates.sum(axis=0) + rng.normal(0, deviation(defence), updates.shape[1])
    return total


def _features(x: Floats, rng: np.random.Generator) -> Floats:
    """Return random Fourier features, of norm 1 at most: a kernel as wide as `NEAR` says."""
    near = NEAR * float(np.median(np.linalg.norm(x - x[rng.permutation(len(x))], axis=1)))
    turns = x @ rng.normal(0, 1 / near, (x.shape[1], FEATURES)) + rng.uniform(0, 2 * np.pi, FEATURES)
    waves: Floats = np.cos(turns) / np.sqrt(FEATURES)
    return waves


def _trained(features: Floats, labels: Labels, rows: NDArray[np.int64], summed: Summed) -> Floats:
    """Return the weights of a logistic model after a few rounds, whose sites have some of the rows each."""
    weights = np.zeros(features.shape[1])
    for _ in range(ROUNDS):
        slope = 1 / (1 + np.exp(-features[rows] @ weights)) - labels[rows]
        gradients = slope[:, None] * features[rows]
        weights = weights - RATE / len(rows) * summed(list(gradients.reshape(-1, ROWS, features.shape[1])))
    return weights


def _confidence(weights: Floats, features: Floats, labels: Labels) -> Floats:
    """Return each row's logit for its true label: their φ, which is about Gaussian."""
    signed: Floats = (2 * labels - 1) * (features @ weights)
    return signed


def _ratios(seen: Floats, losses: Floats, inside: NDArray[np.bool_]) -> Floats:
    """Return each row's log-likelihood ratio of a model that was trained on it and one that was not."""
    ratios = np.zeros(len(seen))
    for row, (own, trained_on) in enumerate(zip(losses.T, inside.T, strict=True)):
        for sign, of in ((1, own[trained_on]), (-1, own[~trained_on])):
            deviation = of.std() + 1e-9
            ratios[row] -= sign * (((seen[row] - of.mean()) / deviation) ** 2 / 2 + np.log(deviation))
    return ratios
