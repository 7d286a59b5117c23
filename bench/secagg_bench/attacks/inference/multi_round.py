"""Sums of several rounds whose participants differ: equations in each site's update, once the model hardly moves."""

from __future__ import annotations

from dataclasses import replace
from statistics import fmean
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from ..attack import Curve, Effort, Finding, Line, Metric
from ..defence import Defence
from ..released import Floats, OnReleased, released
from .clinical import Network, Table

ROUNDS = 20
ROWS = 4
"""Of each site."""
OUT_OF = 5
"""In each round one of so many sites drops out."""
ROUNDS_TRIED = (5, 10, 20, 40, 80)
SEEDS = 1000
"""Of rounds, for each of the attack's own."""


class MultiRound(OnReleased):
    """Each site's update, from sums of rounds with dropouts."""

    name: ClassVar[str] = "multi-round"
    title: ClassVar[str] = "Each site's update, from sums of rounds whose participants differ"
    source: ClassVar[str] = "So et al., Securing Secure Aggregation (MultiRoundSecAgg), AAAI 2023"
    adversary: ClassVar[str] = (
        f"the server, curious: sees the sums of {ROUNDS} rounds and who was in each; one in {OUT_OF} sites drops out, "
        "and updates no longer change"
    )
    metric: ClassVar[Metric] = Metric("cosine of what is learnt of a site to how it differs from the mean", success=0.8)

    def held_by(self, defence: Defence) -> bool:
        return defence.protects("institution", ROUNDS)

    def weak(self) -> Defence:
        return Defence("in-the-clear", "updates in the clear", broken="nothing is summed")

    def run(self, defence: Defence, seed: int, effort: Effort) -> Finding:
        return self._after(ROUNDS, defence, seed, effort)

    def _after(self, rounds: int, defence: Defence, seed: int, effort: Effort) -> Finding:
        gradients = site_gradients(defence, seed, effort)
        truth = sent_by(defence, gradients, seed)
        if defence.scheme is None:
            guess = np.array(released(defence, list(gradients), seed))
        else:
            rng = np.random.default_rng([seed, 2])
            present = np.array([_survivors(defence.sites, rng) for _ in range(rounds)])
            sums = sums_of(defence, gradients, present, seed)
            guess = np.asarray(np.linalg.lstsq(present.astype(np.float64), sums, rcond=None)[0], dtype=np.float64)
        blind = np.random.default_rng([seed, 3]).normal(size=truth.shape)
        return Finding(float(np.mean(likeness(guess, truth))), float(np.mean(np.abs(likeness(blind, truth)))))

    def curves(self, effort: Effort) -> tuple[Curve, ...]:
        lines = []
        for sites in (16, 64):
            defence = Defence("", "", "bonawitz", sites=sites)
            found = [
                fmean(self._after(rounds, defence, seed, effort).value for seed in effort.seeds[:3])
                for rounds in ROUNDS_TRIED
            ]
            lines.append(Line(f"sums of {sites}", list(ROUNDS_TRIED), found))
        return (Curve("Sites' updates known, by rounds", "rounds", "cosine", lines, logarithmic=True),)


def site_gradients(defence: Defence, seed: int, effort: Effort) -> Floats:
    """Return the gradient of each site's rows, (sites, rows, values)."""
    table = Table.of(effort, seed)
    count = defence.sites * ROWS
    network = Network.fresh(table.x.shape[1], np.random.default_rng([seed, 1]))
    return network.gradients(table[:count]).reshape(defence.sites, ROWS, -1)


def sent_by(defence: Defence, gradients: Floats, seed: int) -> Floats:
    """Return each site's update as it goes into sums, (sites, values): cut, where its values are clipped."""
    return np.array(released(replace(defence, scheme=None, noise=None), list(gradients), seed))


def sums_of(defence: Defence, gradients: Floats, present: NDArray[np.bool_], seed: int) -> Floats:
    """Return the sum of each round. present: who was in it, (rounds, sites)."""
    return np.array(
        [released(defence, list(gradients[who]), seed * SEEDS + number)[0] for number, who in enumerate(present)]
    )


def likeness(guess: Floats, truth: Floats) -> Floats:
    """Return, for each site, the cosine of the two differences from the mean over the sites."""
    one, other = guess - guess.mean(axis=0), truth - truth.mean(axis=0)
    norms = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    cosines: Floats = (one * other).sum(axis=1) / np.maximum(norms, 1e-30)
    return cosines


def _survivors(sites: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    present = np.ones(sites, dtype=np.bool_)
    present[rng.choice(sites, sites // OUT_OF, replace=False)] = False
    return present
