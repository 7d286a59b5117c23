"""What an attack is: what it sees, what counts as success, and what a guess without any information scores."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import msgspec
import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from .defence import Defence


@dataclass(frozen=True)
class Metric:
    """What is measured; more is better for the attacker. success: from this value on the attack has succeeded.

    least, most: values that it can have, and a mean of it. leeway: how far above a guess a defence that is claimed to
    stop the attack may let it come, by chance or by what its ε allows.
    """

    name: str
    success: float
    unit: str = ""
    least: float = 0.0
    most: float = 1.0
    leeway: float = 0.05


@dataclass(frozen=True, eq=False)
class Records:
    """Rows that a user brings, scaled to [-1, 1]. x: (rows, features). y: 0 or 1 for each."""

    name: str
    x: NDArray[np.float64]
    y: NDArray[np.int64]


@dataclass(frozen=True)
class Effort:
    """How much is tried. seeds: each cell is run once with each. records: the user's own, None for an attack's own."""

    seeds: Sequence[int]
    quick: bool = False
    records: Records | None = None


class Pictures(msgspec.Struct, frozen=True, tag="pictures"):
    """Records beside what the attack made of them. Each is `shape[0] · shape[1]` grey values in 0..1, row by row."""

    title: str
    shape: tuple[int, int]
    originals: list[list[float]]
    rebuilt: list[list[float]]


class Line(msgspec.Struct, frozen=True):
    """One line of a curve. dashed: a prediction or a guess, which was not measured."""

    name: str
    x: list[float]
    y: list[float]
    dashed: bool = False


class Curve(msgspec.Struct, frozen=True, tag="curve"):
    """How an attack fares along one axis: sites, noise, or false positives (a ROC curve)."""

    title: str
    x: str
    y: str
    lines: list[Line]
    logarithmic: bool = False


Figure = Pictures | Curve


@dataclass(frozen=True)
class Finding:
    """What one run found. baseline: what a guess without any information scores in the same metric."""

    value: float
    baseline: float
    figures: tuple[Figure, ...] = ()
    note: str = ""


class Attack(ABC):
    """One attack. `registry` finds it by its name; docs/attacks.md shows a whole one."""

    name: ClassVar[str]
    title: ClassVar[str]
    source: ClassVar[str]
    """The paper."""
    adversary: ClassVar[str]
    """Who attacks, what it sees and what it may do, in one line."""
    metric: ClassVar[Metric]
    on_tables: ClassVar[bool] = False
    """Whether it can be run on a user's own rows (`Effort.records`)."""
    broken_is: ClassVar[str] = "broken on purpose"
    """What `weak` is called. For an attack on a framework: "as it ships"."""

    @abstractmethod
    def no_view(self, defence: Defence) -> str:
        """Say why there is nothing to attack under this defence; "" where there is."""

    @abstractmethod
    def view(self, defence: Defence) -> str:
        """Name what the attacker sees. Defences with one view share a cell, which is run once."""

    @abstractmethod
    def weak(self) -> Defence:
        """Return a defence that is broken on purpose. The attack must succeed on it: else a 0 says nothing."""

    @abstractmethod
    def run(self, defence: Defence, seed: int, effort: Effort) -> Finding:
        """Attack once. The same seed gives the same data, the same victim and the same draws."""

    def held_by(self, defence: Defence) -> bool:
        """Tell whether this project claims that the defence stops the attack: then success is an error of ours."""
        return False

    def in_words(self, value: float, baseline: float, defence: Defence) -> str:
        """Say for who is attacked what was found, in one plain sentence. Attacks on tables say more than this."""
        unit = f" {self.metric.unit}" if self.metric.unit else ""
        return f"{self.metric.name}: {value:.2g}{unit}, where a guess without any information has {baseline:.2g}{unit}."

    def curves(self, effort: Effort) -> tuple[Curve, ...]:
        """Return how it fares along an axis that no defence of the list covers: means over the seeds."""
        return ()
