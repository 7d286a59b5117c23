"""Rows to train on, and whose they are: what a lot is drawn of, and what a private gradient clips as one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

ROWS_AT_ONCE = 4096
"""Gradients of single rows take rows × parameters of memory, so a large lot is done in parts."""


@dataclass(frozen=True, eq=False)
class Examples:
    """x float64 (rows, features), y float64 (rows,), unit_of int64 (rows,): which unit a row is of, numbered from 0."""

    x: Tensor = field(repr=False)
    y: Tensor = field(repr=False)
    unit_of: Tensor = field(repr=False)

    @classmethod
    def of(cls, x: NDArray[np.float64], y: NDArray[np.int64], unit_of: NDArray[np.int64] | None = None) -> Examples:
        """Make them of arrays. unit_of: whose the rows are, by any number; None: each is a unit of its own."""
        numbers = np.arange(len(y)) if unit_of is None else np.unique(unit_of, return_inverse=True)[1]
        return cls(torch.from_numpy(x), torch.from_numpy(y.astype(np.float64)), torch.from_numpy(numbers))

    @property
    def units(self) -> int:
        """How many units there are."""
        return int(self.unit_of.max()) + 1 if len(self.unit_of) else 0

    def lot(self, units: NDArray[np.int64]) -> Examples:
        """Return all rows of these units."""
        joined = torch.zeros(self.units, dtype=torch.bool)
        joined[torch.from_numpy(units)] = True
        numbers = joined.cumsum(0) - 1
        rows = joined[self.unit_of]
        return Examples(self.x[rows], self.y[rows], numbers[self.unit_of[rows]])

    def parts(self) -> Iterator[Examples]:
        """Yield them in parts of whole units, of ROWS_AT_ONCE rows and at most one unit more."""
        counts = np.bincount(self.unit_of.numpy())
        part_of = (counts.cumsum() - counts) // ROWS_AT_ONCE
        for part in np.unique(part_of):
            yield self.lot(np.flatnonzero(part_of == part))
