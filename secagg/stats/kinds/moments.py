"""Sums of a column and of its squares, by group: what sums, means, variances and their comparison are made from.

s = Σ(u − m)    q = Σ(u − m)²    in units u around the middle m of the public range, exact
Σx = (s + n·m) / 10^d    x̄ = Σx / n    Σ(x − x̄)² = (q − s² / n) / 10^2d
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from secagg.stats.domain import Domain
from secagg.stats.rows import Rows
from secagg.stats.suppression import Axis

from .cells import cut
from .sums import OfSums, SumsState


@dataclass(frozen=True)
class Moments:
    """Exact sums of one group of n rows. s, q: as above, 0 where not summed. middle: m. scale: 10^d."""

    n: int
    s: int
    q: int
    middle: int
    scale: float

    @property
    def sum(self) -> float:
        """Σx."""
        return (self.s + self.n * self.middle) / self.scale

    @property
    def mean(self) -> float:
        """x̄."""
        return (self.s + self.n * self.middle) / self.n / self.scale

    @property
    def squares(self) -> float:
        """Σ(x − x̄)²."""
        return (self.n * self.q - self.s**2) / self.n / self.scale**2

    @property
    def variance(self) -> float | None:
        """Σ(x − x̄)² / (n − 1); None for a single row."""
        return None if self.n < 2 else self.squares / (self.n - 1)


class OfColumn(OfSums, frozen=True):
    """Base: a column of numbers, in all or in each category of `by`."""

    column: str
    by: str | None = None

    powers: ClassVar[int] = 2
    """How many powers of the values are summed."""

    @property
    def grouped_by(self) -> str | None:
        return self.by

    def reads(self) -> tuple[str, ...]:
        return (self.column,) if self.by is None else (self.column, self.by)

    def tables(self, query: Domain) -> tuple[tuple[Axis, ...], ...]:
        return cut(self.by, query)

    def quantities(self, rows: Rows, query: Domain) -> list[NDArray[np.int64]]:
        units = rows.units(self.column) - query.number(self.column).middle
        return [units**power for power in range(1, self.powers + 1)]

    def ranges(self, query: Domain) -> Sequence[tuple[int, int]]:
        half = query.number(self.column).half
        return ((-half, half), (0, half**2))[: self.powers]

    def are_of_rows(self, n: int, sums: Sequence[int], query: Domain) -> bool:
        return super().are_of_rows(n, sums, query) and all(n * squares >= sums[0] ** 2 for squares in sums[1:])

    def moments(self, state: SumsState, query: Domain) -> list[Moments | None]:
        """Return the sums of each group; None where they are not shown."""
        column = query.number(self.column)
        return [
            None if found is None else Moments(found[0], found[1][0], sum(found[1][1:]), column.middle, column.scale)
            for found in self.sums_of(state, query)
        ]
