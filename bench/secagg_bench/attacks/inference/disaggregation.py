"""Disaggregation: who was in which sum is found from the sums alone, and with it each site's update.

Sums of updates that no longer change are P · U: P says who was in which round, and is 0 or 1. The columns of P are
then nearly the only vectors of 0 and 1 in the span of the sums' columns. As many rounds as there are sites fix such a
vector, so each way to fill those with 0 and 1 is tried, and kept where all other rounds come out as 0 or 1, too.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import qr

from ..attack import Attack, Effort, Finding, Metric
from ..defence import Defence
from ..released import Floats, view_of
from .multi_round import site_gradients, sums_of

ROUNDS = 40
MOST_SITES = 18
"""Of more than that there are too many ways."""
LIKE = 0.9
"""Cosine from which an update counts as known."""


class Disaggregation(Attack):
    """Each site's update, from sums of rounds, by somebody who does not know who was in which."""

    name: ClassVar[str] = "disaggregation"
    title: ClassVar[str] = "Who was in which sum, and each site's update, from the sums alone"
    source: ClassVar[str] = "Lam et al., Gradient disaggregation, ICML 2021"
    adversary: ClassVar[str] = (
        f"whoever gets the model of {ROUNDS} rounds: does not know who was in each, about half of the sites, "
        "and updates no longer change"
    )
    metric: ClassVar[Metric] = Metric("share of sites whose update is known", success=0.5)

    def no_view(self, defence: Defence) -> str:
        if defence.scheme is None:
            return "nothing is summed"
        if defence.sites > MOST_SITES:
            return f"it tries each way to fill the rounds, and of {defence.sites} sites there are 2^{defence.sites}"
        return ""

    def view(self, defence: Defence) -> str:
        return view_of(defence)

    def held_by(self, defence: Defence) -> bool:
        return defence.protects("institution", ROUNDS)

    def weak(self) -> Defence:
        return Defence("few", "secure sum of 5, bonawitz", "bonawitz", sites=5, broken="five sites, no noise")

    def run(self, defence: Defence, seed: int, effort: Effort) -> Finding:
        gradients = site_gradients(defence, seed, effort)
        present = _participants(defence.sites, np.random.default_rng([seed, 2]))
        sums = sums_of(defence, gradients, present, seed)
        found = columns(sums, defence.sites)
        updates = np.asarray(np.linalg.lstsq(found, sums, rcond=None)[0], dtype=np.float64)
        truth = gradients.sum(axis=1)
        return Finding(_known(updates, truth), 0.0, note=_said(found, present))


def _participants(sites: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Return who takes part in each round: two at least."""
    present = rng.random((ROUNDS, sites)) < 0.5
    present[present.sum(axis=1) < 2] = True
    return present


def columns(sums: Floats, sites: int) -> Floats:
    """Return the likeliest columns of the matrix that says who was in which sum, (rounds, sites)."""
    span = np.linalg.svd(sums, full_matrices=False)[0][:, :sites]
    _, _, order = qr(span.T, pivoting=True)
    fixed = order[:sites]
    ways = (np.arange(1, 1 << sites)[:, None] >> np.arange(sites) & 1).astype(np.float64)
    filled = ways @ np.linalg.inv(span[fixed]).T @ span.T
    off = np.abs(filled - np.clip(np.rint(filled), 0, 1)).max(axis=1)
    best = np.argsort(off)[:sites]
    likeliest: Floats = np.clip(np.rint(filled[best]), 0, 1).T
    return likeliest


def _known(updates: Floats, truth: Floats) -> float:
    """Return the share of sites that one of the updates is like. Whose it is, nobody says."""
    one, other = updates - updates.mean(axis=0), truth - truth.mean(axis=0)
    one /= np.maximum(np.linalg.norm(one, axis=1, keepdims=True), 1e-30)
    other /= np.linalg.norm(other, axis=1, keepdims=True)
    return float(np.mean((other @ one.T).max(axis=1) > LIKE))


def _said(found: Floats, present: NDArray[np.bool_]) -> str:
    right = {tuple(column) for column in present.T} & {tuple(column > 0) for column in found.T}
    return f"{len(right)} of {present.shape[1]} columns of the participant matrix are right"
