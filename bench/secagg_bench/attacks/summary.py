"""What the first lines say: how many attacks each defence lets through, of each kind, and what that costs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from .attack import Attack
from .costs import DATASET, Cost
from .defence import Defence
from .matrix import Cell, Matrix
from .registry import grouped

NAMED = 3
"""Attacks that a sentence names; of more it says how many."""


@dataclass(frozen=True)
class Standing:
    """One defence: the cells that were run against it, by what is attacked, and what it costs."""

    defence: Defence
    groups: Mapping[str, Sequence[Cell]]
    cost: Cost

    @property
    def run(self) -> list[Cell]:
        """Every cell."""
        return [cell for cells in self.groups.values() for cell in cells]

    @property
    def leaks(self) -> list[Attack]:
        """The attacks that succeed."""
        return [cell.attack for cell in self.run if cell.succeeded]


def standings(matrix: Matrix, costs: Sequence[Cost]) -> list[Standing]:
    """Return each defence's."""
    groups = grouped(matrix.attacks)
    found = []
    for cost in costs:
        cells = {attack.name: matrix.cell(attack, cost.defence) for attack in matrix.attacks}
        by_group = {title: [cells[one.name] for one in attacks] for title, attacks in groups.items()}
        run = {title: [cell for cell in group if cell.runs] for title, group in by_group.items()}
        found.append(Standing(cost.defence, run, cost))
    return found


def in_short(found: Sequence[Standing]) -> list[str]:
    """Return sentences for who decides: what gets through without a defence, with a sum, with noise, and at best."""
    chosen: tuple[tuple[str, Callable[[Defence], bool]], ...] = (
        ("With no defence", lambda one: one.scheme is None),
        ("With a secure sum alone", lambda one: one.scheme is not None and one.noise is None),
        ("With a secure sum and noise over rows", lambda one: one.protects("row")),
    )
    told = [
        f"{start} ({standing.defence.name}), {_through(standing)}{_price(standing.cost)}."
        for start, fits in chosen
        if (standing := next((one for one in found if fits(one.defence) and one.run), None))
    ]
    able = [one for one in found if one.run]
    if len(able) > 1:
        best = min(able, key=lambda one: (len(one.leaks) / len(one.run), -len(one.run)))
        told.append(f"The fewest get through {best.defence.name}: {_through(best)}{_price(best.cost)}.")
    return told


def _through(standing: Standing) -> str:
    leaks = standing.leaks
    if not leaks:
        return f"none of {len(standing.run)} attacks succeeds"
    named = "; ".join(attack.title for attack in leaks[:NAMED])
    more = f"; and {len(leaks) - NAMED} more" if len(leaks) > NAMED else ""
    return f"{len(leaks)} of {len(standing.run)} attacks succeed: {named}{more}"


def _price(cost: Cost) -> str:
    if cost.trained is None:
        return ""
    aucs = cost.trained.aucs
    said = f"± {stdev(aucs):.3f} over {len(aucs)} trainings" if len(aucs) > 1 else "in one training"
    return f". A model's AUC on {DATASET} is then {fmean(aucs):.3f} {said}"
