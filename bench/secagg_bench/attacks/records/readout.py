"""Tabular readout: what a neuron of a trained network sends is one row, where no other row of the sum activates it.

So is the difference of two neurons, where one row activates one of them and not the other.
"""

from __future__ import annotations

from statistics import fmean
from typing import ClassVar

import numpy as np

from secagg.extras import needed

from ..attack import Curve, Effort, Finding, Line, Metric
from ..defence import Defence, Noise
from ..released import Floats, OnReleased, released, shown_by
from .dlg import summed
from .likeness import recovered
from .material import Material, biopsies

EXACT = 0.01
"""Root mean square error, in units of the features' range, up to which a row is read and not guessed."""
SILENT = 1e-9
"""A bias that got less got nothing from any row."""
SITES = (1, 2, 4, 8, 16, 64)


class TabularReadout(OnReleased):
    """Rows of all sites, each of whom has one, read from the first layer of a model that is being trained."""

    name: ClassVar[str] = "tabular-readout"
    title: ClassVar[str] = "Rows of a table read from the first layer of a trained model"
    source: ClassVar[str] = "Pan et al., Exploring the Security Boundary of Data Reconstruction, USENIX Security 2022"
    adversary: ClassVar[str] = "the server, curious: knows the model, and sees what is released of one row a site"
    metric: ClassVar[Metric] = Metric("share of rows read exactly", success=0.1)
    on_tables: ClassVar[bool] = True

    def held_by(self, defence: Defence) -> bool:
        return defence.protects("row")

    def weak(self) -> Defence:
        noise = Noise("distributed", "row", 1e-5)
        return Defence("row-dp-broken", "noise under the sum", "bonawitz", noise=noise, broken="noise ÷ 100,000")

    def run(self, defence: Defence, seed: int, effort: Effort) -> Finding:
        with needed("train"):
            from .networks import WIDE, contrast, fresh, row_gradients, train, wide_mlp
        material = Material.of(effort, seed, biopsies)
        sites = material.sites(defence.sites, 1)
        truth = material.x[: defence.sites]
        middle, spread = material.public.mean(axis=0), material.public.std(axis=0) + SILENT
        model = fresh(wide_mlp, material.x.shape[1], 2, seed)
        train(model, (material.public - middle) / spread, material.public_y)
        rows = (material.x - middle) / spread
        seen = released(defence, [row_gradients(model, rows[site], material.y[site]) for site in sites], seed)
        out = contrast(model)
        candidates = [plausible(read(update, out, truth.shape[1]) * spread + middle) for update in seen]
        guessed = recovered(truth, material.public[:WIDE], EXACT)
        return Finding(float(recovered(truth, np.concatenate(candidates), EXACT).mean()), float(guessed.mean()))

    def in_words(self, value: float, baseline: float, defence: Defence) -> str:
        read = round(value * defence.sites)
        return (
            f"{read} of {defence.sites} of your rows were read from {shown_by(defence)}, where each site has one row."
        )

    def curves(self, effort: Effort) -> tuple[Curve, ...]:
        shares = [fmean(self.run(summed(sites), seed, effort).value for seed in effort.seeds) for sites in SITES]
        line = Line("measured", list(SITES), shares)
        return (
            Curve("Rows of a table read from the sum, by sites", "sites", "share of rows", [line], logarithmic=True),
        )


def read(update: Floats, out: Floats, features: int) -> Floats:
    """Return what may be rows: of two neurons each, their weights' gradients' difference over their biases'.

    out: by how much more the logit of the second class grows with each neuron. What a row sends through a neuron that
    it activates is in proportion to that, so divided by it, it is the same for all.
    """
    neurons = len(out)
    sums = np.column_stack(
        [update[: neurons * features].reshape(neurons, features), update[neurons * features :][:neurons]]
    )
    sums = np.concatenate([sums / out[:, None], np.zeros((1, features + 1))])
    one, other = np.triu_indices(len(sums), 1)
    differences = sums[one] - sums[other]
    differences = differences[np.abs(differences[:, -1]) > SILENT]
    candidates: Floats = differences[:, :-1] / differences[:, -1:]
    return candidates


def plausible(candidates: Floats) -> Floats:
    """Return those whose values a row can have."""
    kept: Floats = candidates[((candidates > -EXACT) & (candidates < 1 + EXACT)).all(axis=1)]
    return kept
