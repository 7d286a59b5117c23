"""Membership: a row's gradient leans towards a sum that it is in."""

from __future__ import annotations

from statistics import fmean
from typing import ClassVar

import numpy as np

from ..attack import Curve, Effort, Finding, Line, Metric
from ..defence import Defence, Noise
from ..records.dlg import alone
from ..released import Floats, OnReleased, clipped, released, shown_by
from .clinical import HIDDEN, Network, Table, deviation
from .scores import AT_FEW, FEW, GUESS, area, roc, said, true_positives

ROWS = 4
"""Of each site."""
KNOWN = 0.25
"""Of the table, rows of which the attacker knows that they are in no sum."""
SUMS = 5
SITES = (1, 4, 16, 64)
SHRINKAGE = 0.1
NOTHING = 1e-3
"""A direction this weak, of the strongest, comes of rounding only."""


class Membership(OnReleased):
    """Which rows are in the sum, by how their gradients lie in it."""

    name: ClassVar[str] = "membership"
    title: ClassVar[str] = "Whether a patient's row is in the sum, from how its gradient lies in it"
    source: ClassVar[str] = "Li, Li, Ribeiro, Effective passive membership inference attacks in FL, ICLR 2023"
    adversary: ClassVar[str] = (
        "the server, curious: has the row in question and rows of the kind, and sees what is released of a first round"
    )
    metric: ClassVar[Metric] = AT_FEW
    on_tables: ClassVar[bool] = True

    def held_by(self, defence: Defence) -> bool:
        return defence.protects("row")

    def weak(self) -> Defence:
        return alone(1e-3, broken="one site in the sum, and noise ÷ 1,000")

    def run(self, defence: Defence, seed: int, effort: Effort) -> Finding:
        members, others = scores(defence, seed, effort)
        return Finding(true_positives(members, others, FEW), FEW, note=said(members, others))

    def in_words(self, value: float, baseline: float, defence: Defence) -> str:
        return (
            f"From {shown_by(defence)}, {value:.0%} of your rows in it were recognised, with {FEW:.0%} of the others "
            "taken for them by mistake."
        )

    def curves(self, effort: Effort) -> tuple[Curve, ...]:
        found = {
            sites: [scores(Defence("", "", "bonawitz", sites=sites), seed, effort) for seed in effort.seeds]
            for sites in SITES
        }
        noisy = Defence("", "", "bonawitz", noise=Noise("distributed", "row", 1.0))
        lines = [roc(f"sum of {sites}", pairs) for sites, pairs in found.items()]
        lines.append(roc("sum of 16, row noise z = 1", [scores(noisy, seed, effort) for seed in effort.seeds]))
        areas = [fmean(area(*pair) for pair in pairs) for pairs in found.values()]
        return (
            Curve("Rows told from others", "false positives", "true positives", [*lines, GUESS], logarithmic=True),
            Curve(
                "Rows told from others, by sites in the sum",
                "sites",
                "area under the ROC curve",
                [Line("measured", list(SITES), areas), Line("a guess", list(SITES), [0.5] * len(SITES), dashed=True)],
                logarithmic=True,
            ),
        )


def scores(defence: Defence, seed: int, effort: Effort) -> tuple[Floats, Floats]:
    """Return the scores of rows that are in a sum and of rows that are not, over several sums."""
    table = Table.of(effort, seed)
    count = defence.sites * ROWS
    table.enough(count, count, "known, or not in the sum")
    public, private = table[: int(KNOWN * len(table))], table[int(KNOWN * len(table)) :]
    rng = np.random.default_rng([seed, 1])
    members, others = [], []
    for number in range(SUMS):
        network = Network.fresh(table.x.shape[1], rng)
        known = _as_sent(defence, network.gradients(public))
        gradients = network.gradients(private)
        order = rng.permutation(len(private))
        sites = [gradients[site] for site in order[:count].reshape(defence.sites, ROWS)]
        seen = released(defence, sites, seed * SUMS + number)
        rows = count // len(seen)
        tried = _as_sent(defence, gradients)
        looked = [
            _within(update, private.x)
            if _is_narrow(update, private.x.shape[1])
            else _leaning(update, rows, tried, known, deviation(defence))
            for update in seen
        ]
        found = np.max(looked, axis=0)
        members.append(found[order[:count]])
        others.append(found[order[count:]])
    return np.concatenate(members), np.concatenate(others)


def _as_sent(defence: Defence, gradients: Floats) -> Floats:
    noise = defence.noise
    return gradients if noise is None or noise.unit == "institution" else clipped(gradients, noise.clip)


def _first_layer(update: Floats, features: int) -> Floats:
    """Return an update's part of the hidden weights: each column is a mixture of rows, (features, HIDDEN)."""
    weights: Floats = update[: features * HIDDEN].reshape(features, HIDDEN)
    return weights


def _is_narrow(update: Floats, features: int) -> bool:
    """Tell whether so few rows are in the update that they span less than the space of rows."""
    strengths = np.linalg.svd(_first_layer(update, features), compute_uv=False)
    return bool(strengths[-1] < NOTHING * strengths[0])


def _within(update: Floats, x: Floats) -> Floats:
    """Return, for each row, how little of it lies outside of what the rows of the update span."""
    axes, strengths, _ = np.linalg.svd(_first_layer(update, x.shape[1]), full_matrices=False)
    spanned = axes[:, strengths > NOTHING * strengths[0]]
    outside: Floats = np.linalg.norm(x - x @ spanned @ spanned.T, axis=1)
    return -outside


def _leaning(update: Floats, rows: int, tried: Floats, known: Floats, noise: float) -> Floats:
    """Return, for each row, the log-likelihood ratio of a Gaussian sum with it and one without."""
    mean = known.mean(axis=0)
    cut = max(float(update @ mean) / (rows * float(mean @ mean)), 1e-6)  # by which a clip has shortened the update
    _, spread, axes = np.linalg.svd(known - mean, full_matrices=False)
    along = spread**2 / len(known)
    across = SHRINKAGE * along.sum() / len(mean) * rows + (noise / cut) ** 2
    own = tried - mean
    rest = update / cut - rows * mean
    within = own @ axes.T
    gain = 1 / (rows * along + across) - 1 / across
    inner = within * gain @ (axes @ rest) + own @ rest / across
    square = within**2 @ gain + (own**2).sum(axis=1) / across
    leaning: Floats = inner - square / 2
    return leaning
