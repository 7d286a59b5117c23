"""Property of one site: whether it sees women or men only, though the model is asked something else."""

from __future__ import annotations

from statistics import fmean
from typing import ClassVar

import numpy as np

from secagg.extras import needed

from ..attack import Curve, Effort, Finding, Line, Metric
from ..defence import Defence
from ..released import Floats, OnReleased, released
from .clinical import Groups, Labels, Network, Table, deviation, scaled

ROWS = 16
"""Of each site, drawn from the table again and again: 64 sites have more than it has."""
TRIALS = 24
SITES = (1, 4, 16, 64)
SEX = 1
"""Its column in scikit-learn's diabetes data."""


class SiteProperty(OnReleased):
    """Whether one site's patients are women or men, while all others have both."""

    name: ClassVar[str] = "site-property"
    title: ClassVar[str] = "Whether one site has women or men only, where the others have both"
    source: ClassVar[str] = "Melis et al., Exploiting unintended feature leakage in collaborative learning, S&P 2019"
    adversary: ClassVar[str] = (
        "the server, curious: sees what is released of a first round, and has rows of the kind, with the property"
    )
    metric: ClassVar[Metric] = Metric("right guesses", success=0.8, leeway=0.25)
    """Noise of z = 1 over institutions lets nobody be right more often than 0.69, beside chance: Φ(1/2)."""

    def held_by(self, defence: Defence) -> bool:
        return defence.protects("institution")

    def weak(self) -> Defence:
        return Defence("in-the-clear", "updates in the clear", broken="nothing is summed")

    def run(self, defence: Defence, seed: int, effort: Effort) -> Finding:
        table, sex = _diabetes(seed)
        half = len(table) // 2
        rng = np.random.default_rng([seed, 1])
        right = []
        for trial in range(TRIALS):
            women = trial % 2
            network = Network.fresh(table.x.shape[1], rng)
            groups = Groups.of(network.gradients(table[:half]), 2 * sex[:half] + table.y[:half])
            rows = [rng.integers(half, len(table), ROWS) for _ in range(defence.sites)]
            rows[0] = rng.choice(half + np.flatnonzero(sex[half:] == women), ROWS)
            seen = released(defence, [network.gradients(table[site]) for site in rows], seed * TRIALS + trial)
            count = defence.sites * ROWS // len(seen)
            share = _of_women(groups.shares(seen[0], count, deviation(defence)))
            right.append((share > sex[:half].mean()) == women)
        return Finding(float(np.mean(right)), 0.5)

    def curves(self, effort: Effort) -> tuple[Curve, ...]:
        right = [
            fmean(self.run(Defence("", "", "bonawitz", sites=sites), seed, effort).value for seed in effort.seeds)
            for sites in SITES
        ]
        lines = [Line("measured", list(SITES), right), Line("a guess", list(SITES), [0.5] * len(SITES), dashed=True)]
        title = "One site's property told right, by sites in the sum"
        return (Curve(title, "sites", "right guesses", lines, logarithmic=True),)


def _diabetes(seed: int) -> tuple[Table, Labels]:
    """Return rows whose label is whether the disease got worse than usual, and whether each is a woman's."""
    with needed("train"):
        from sklearn.datasets import load_diabetes
    found = load_diabetes()
    order = np.random.default_rng([seed, 0]).permutation(len(found.data))
    x = scaled(found.data)[order]
    worse = (found.target > np.median(found.target)).astype(np.int64)[order]
    return Table(x, worse), (x[:, SEX] > 0).astype(np.int64)


def _of_women(shares: Floats) -> float:
    """Return the share of women, from that of men who are not worse, men who are, and women alike."""
    return float(shares[2:].sum())
