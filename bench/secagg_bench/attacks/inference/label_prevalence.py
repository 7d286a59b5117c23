"""Label prevalence: how many of a site's patients are ill stands in how its update leans."""

from __future__ import annotations

from statistics import fmean
from typing import ClassVar

import numpy as np

from ..attack import Curve, Effort, Finding, Line, Metric
from ..defence import Defence
from ..released import Floats, OnReleased, released, shown_by
from .clinical import Groups, Network, Table, deviation

ROWS = 6
"""Of each site."""
PUBLIC = 40
"""Rows, at least, that the attacker has: it learns from them what gradients look like."""
SKEW = 0.5
"""The less, the more sites differ in how many are ill."""
SITES = (1, 2, 4, 16, 64)


class LabelPrevalence(OnReleased):
    """How many of each site's patients are ill."""

    name: ClassVar[str] = "label-prevalence"
    title: ClassVar[str] = "How many of a site's patients are ill"
    source: ClassVar[str] = "Wainakh et al., User-level label leakage from gradients in FL, PoPETs 2022"
    adversary: ClassVar[str] = (
        "the server, curious: sees what is released of a first round, and has rows of the kind, with labels"
    )
    metric: ClassVar[Metric] = Metric("share of the differences between sites that is explained", success=0.5)
    on_tables: ClassVar[bool] = True

    def held_by(self, defence: Defence) -> bool:
        return defence.scheme is not None

    def weak(self) -> Defence:
        return Defence("in-the-clear", "updates in the clear", broken="nothing is summed")

    def run(self, defence: Defence, seed: int, effort: Effort) -> Finding:
        truth, guess = shares(defence, seed, effort)
        errors = float(np.mean((guess - truth) ** 2))
        note = f"mean error of a site's share {np.mean(np.abs(guess - truth)):.3f}"
        return Finding(max(0.0, 1 - errors / float(truth.var())), 0.0, note=note)

    def in_words(self, value: float, baseline: float, defence: Defence) -> str:
        return (
            f"From {shown_by(defence)}, {value:.0%} of how sites differ in their share of the second class was "
            "explained."
        )

    def curves(self, effort: Effort) -> tuple[Curve, ...]:
        errors, prior = [], []
        for sites in SITES:
            pairs = [shares(Defence("", "", "bonawitz", sites=sites), seed, effort, 64) for seed in effort.seeds]
            errors.append(fmean(float(np.mean(np.abs(guess - truth))) for truth, guess in pairs))
            prior.append(fmean(float(np.mean(np.abs(truth - truth.mean()))) for truth, _ in pairs))
        title = "How far a site's share of ill patients is guessed wrong, by sites in the sum"
        lines = [
            Line("measured", list(SITES), errors),
            Line("everybody's share, for each", list(SITES), prior, dashed=True),
        ]
        return (Curve(title, "sites", "mean error", lines, logarithmic=True),)


def shares(defence: Defence, seed: int, effort: Effort, sites: int | None = None) -> tuple[Floats, Floats]:
    """Return each site's share of ill patients, and the attacker's guess. sites: in several sums; None: in one."""
    sites = sites or defence.sites
    table = Table.of(effort, seed)
    table.enough(sites * ROWS, PUBLIC, "known")
    rng = np.random.default_rng([seed, 1])
    private, public = table[: sites * ROWS], table[sites * ROWS :]
    network = Network.fresh(table.x.shape[1], rng)
    groups = Groups.of(network.gradients(public), public.y)
    alike = np.argsort(private.y + rng.normal(0, SKEW, len(private)))
    whose = rng.permutation(alike.reshape(sites, ROWS))
    gradients = network.gradients(private)
    guess = []
    for start in range(0, sites, defence.sites):
        seen = released(defence, [gradients[site] for site in whose[start : start + defence.sites]], seed)
        rows = defence.sites * ROWS // len(seen)
        found = [groups.shares(update, rows, deviation(defence))[1] for update in seen]
        guess += found if len(seen) > 1 else found * defence.sites
    return private.y[whose].mean(axis=1), np.array(guess)
