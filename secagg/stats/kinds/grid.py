"""A public time grid, fixed before anybody looks: when a row leaves, as a point of it, and whether by the event."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from secagg.stats.columns import Category, Number
from secagg.stats.domain import Domain
from secagg.stats.rows import Rows
from secagg_protocols.errors import InputError, ParameterError

MOST_POINTS = 100_000


@dataclass(frozen=True)
class Grid:
    """Points 0, unit, 2 · unit, … up to the horizon."""

    unit: float
    horizon: float

    @property
    def last(self) -> int:
        """The number of the last point."""
        return math.floor(self.horizon / self.unit + 1e-9)

    @property
    def points(self) -> int:
        """How many there are, with that at 0."""
        return self.last + 1

    @property
    def end(self) -> float:
        """The time of the last point."""
        return self.last * self.unit


@dataclass(frozen=True)
class Follow:
    """time: a column of numbers. event: one of two categories, of which the second is the event."""

    time: str
    event: str
    grid: Grid

    def check(self, query: Domain) -> None:
        """Raise `ParameterError` for columns that cannot be followed along this grid."""
        time = query.number(self.time)
        grid = self.grid
        if not (math.isfinite(grid.unit) and math.isfinite(grid.horizon) and 0 < grid.unit <= grid.horizon):
            raise ParameterError(f"a time grid in steps of {grid.unit} up to {grid.horizon}: give 0 < unit ≤ horizon")
        if grid.points > MOST_POINTS:
            raise ParameterError(
                f"a time grid of {grid.points} points; at most {MOST_POINTS} are summed: give a larger unit"
            )
        step = self._step(time)
        if not step or abs(grid.unit * time.scale - step) > 1e-6:
            raise ParameterError(f"steps of {grid.unit} are no whole units of column {self.time!r}: give it decimals")
        if time.low >= 0 or time.high <= grid.horizon:
            raise ParameterError(
                f"column {self.time!r} has the range {time.low:g} to {time.high:g}: it must begin below 0, so that "
                f"negative times are found, and end beyond the horizon {grid.horizon:g}, so that later ones are censored"
            )
        if len(values := query.category(self.event).values) != 2:
            raise ParameterError(
                f"event column {self.event!r} has {len(values)} categories: two are needed, the event last"
            )

    def read(self, rows: Rows) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Return at which point each row leaves, and which by the event. Raises: InputError, for the site alone."""
        if other := rows.beyond.get(self.event):
            raise InputError(
                f"column {self.event!r} holds {other} value(s) that the query does not list: an event is one of two, "
                "such as 0 and 1; correct them"
            )
        units = rows.units(self.time)
        if negative := int((units < 0).sum()):
            raise InputError(f"column {self.time!r} holds {negative} negative time(s): correct them")
        points = -(-units // self._step(rows.columns[self.time]))
        beyond = points > self.grid.last
        event = (rows.codes(self.event) == 1) & ~beyond
        return np.where(beyond, self.grid.last, points), event

    def _step(self, time: Number | Category) -> int:
        assert isinstance(time, Number)
        return round(self.grid.unit * time.scale)
