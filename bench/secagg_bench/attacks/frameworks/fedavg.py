"""Plain FedAvg in Flower: the strategy is handed every node's reply, and a layer made for it gives away its rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

import numpy as np

from secagg.extras import needed

from ..attack import Effort, Finding, Metric
from ..defence import Defence
from ..records.imprint import ROWS, Bait, head_for
from ..records.likeness import recovered
from ..records.material import Material, halves
from ..released import Floats, released, view_of
from .shipped import FLOWER, OnFramework, silent


class FlowerFedAvg(OnFramework):
    """Rows, and whose each of them is."""

    name: ClassVar[str] = "flower-fedavg"
    title: ClassVar[str] = "Rows, each with the site whose it is, from what Flower's FedAvg is handed"
    source: ClassVar[str] = "Fowl et al., Robbing the Fed, ICLR 2022"
    adversary: ClassVar[str] = "the server: sends a model with a layer of its own making, and reads what it gets"
    metric: ClassVar[Metric] = Metric("share of rows recovered and traced to their site", success=0.5)
    framework: ClassVar[tuple[str, str]] = FLOWER
    part: ClassVar[str] = "FedAvg"

    def no_view(self, defence: Defence) -> str:
        return ""

    def view(self, defence: Defence) -> str:
        return defence.title if defence.broken else view_of(replace(defence, noise=None))

    def held_by(self, defence: Defence) -> bool:
        return defence.scheme is not None

    def run(self, defence: Defence, seed: int, effort: Effort) -> Finding:
        defence = replace(defence, noise=None)  # it only takes away: whose a row is does not depend on it
        material = Material.of(effort, seed, halves)
        sites = material.sites(defence.sites, ROWS)
        bait = Bait.made_of(material.public, head_for(defence), np.random.default_rng([seed, 2]))
        rows = [bait.gradients(material.x[site], material.y[site]) for site in sites]
        seen = replies(rows, seed) if defence.broken else released(defence, rows, seed)
        candidates = [bait.read(update) for update in seen]
        draws = np.random.default_rng([seed, 4])
        traced = []
        for place, site in enumerate(sites):
            truth = material.x[site]
            if len(seen) > 1:
                traced.append(recovered(truth, candidates[place]))
            else:  # nothing in a sum says whose a row is
                traced.append(recovered(truth, candidates[0]) & (draws.integers(len(sites), size=len(truth)) == place))
        return Finding(float(np.mean(traced)), 1 / len(sites))


def replies(rows: Sequence[Floats], seed: int) -> list[Floats]:
    """Return each node's update, as Flower's strategy is handed it."""
    with needed("flower"):
        from flwr.serverapp.strategy import FedAvg

        from . import flower_round

    nodes = flower_round.Nodes(
        {node: site.sum(axis=0) for node, site in enumerate(rows, start=1)},
        dict.fromkeys(range(1, len(rows) + 1), ROWS),
    )
    with silent(seed):
        seen = flower_round.train(FedAvg(fraction_train=1.0), nodes)
    return [seen.replies[node] for node in nodes.get_node_ids()]
