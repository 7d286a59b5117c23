"""The privacy–utility curve of a data set: ε × kind of noise × number of sites, with the spread over seeds."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import msgspec

from secagg_protocols import ParameterError

from ..journal import Journal
from .utility import NONE, PRIVATE, Train, aucs

NO_NOISE = "no noise"
DROPPED = 5
"""In the trainings one of so many sites drops out in each round."""


class Point(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One place of the curve. epsilon: None for no noise. aucs: one for each seed; none where `reason` says why."""

    data: str
    noise: str
    epsilon: float | None
    sites: int
    seeds: int
    version: str
    aucs: tuple[float, ...]
    reason: str = ""

    @property
    def key(self) -> tuple[object, ...]:
        """What makes it the same one."""
        return self.data, self.noise, self.epsilon, self.sites, self.seeds, self.version


@dataclass(frozen=True)
class Grid:
    """What is trained. data: settings of `secagg train` that say which rows, and their name."""

    name: str
    data: Mapping[str, Any]
    epsilons: Sequence[float]
    sites: Sequence[int]
    seeds: int

    def __post_init__(self) -> None:
        """Refuse what no training takes."""
        for epsilon in self.epsilons:
            if not (epsilon > 0 and math.isfinite(epsilon)):
                raise ParameterError(f"--epsilon {epsilon} must be a finite number above 0")

    @property
    def noises(self) -> Mapping[str, Mapping[str, Any]]:
        """Name → settings of the kinds of noise; over patients only where the table tells them apart."""
        kinds = {", ".join(kind): settings for kind, settings in PRIVATE.items()}
        if "patient_column" in self.data:
            for mode in ("local", "distributed"):
                kinds[f"{mode}, patient"] = {**PRIVATE[mode, "row"], "unit": "patient"}
        return kinds

    @property
    def places(self) -> Iterator[tuple[str, float | None, int, Mapping[str, Any]]]:
        """Yield (noise, ε, sites, settings) of each point."""
        for sites in self.sites:
            yield NO_NOISE, None, sites, NONE
            for noise, settings in self.noises.items():
                for epsilon in self.epsilons:
                    yield noise, epsilon, sites, {**settings, "epsilon": epsilon}


def point(
    grid: Grid, place: tuple[str, float | None, int, Mapping[str, Any]], train: Train, journal: Journal[Point]
) -> Point:
    """Return one point, trained unless the journal has it."""
    noise, epsilon, sites, settings = place
    where = (grid.name, noise, epsilon, sites, grid.seeds, version("secagg"))
    done = journal.get(where)
    if done is not None:
        return done
    found: Sequence[float] = ()
    reason = ""
    try:
        found = aucs(train, grid.seeds, **grid.data, **settings, institutions=sites, dropouts=sites // DROPPED)
    except ParameterError as refused:  # too few sites or rows for this noise
        reason = str(refused)
    trained = Point(*where, tuple(found), reason)
    journal.append(trained)
    return trained
