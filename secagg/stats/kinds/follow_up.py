"""How rows are followed: along a public time grid, fixed beforehand, until an event or for as long as is known."""

from __future__ import annotations

import math

import msgspec
import numpy as np
from numpy.typing import NDArray

from secagg.stats.columns import Category, Number
from secagg.stats.domain import Domain
from secagg.stats.rows import Rows
from secagg.stats.suppression import Axis
from secagg_protocols.errors import InputError, ParameterError

MOST_POINTS = 100_000


class FollowUp(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """time: a column of numbers. event: a column of two categories, of which the second is the event.

    The grid is 0, unit, 2 · unit, … up to the horizon. A time counts at the first point that is not before it; who is
    followed beyond the last one is censored there.
    """

    time: str
    event: str
    horizon: float
    unit: float = 1.0

    def __post_init__(self) -> None:
        for name in ("horizon", "unit"):  # so that equal grids are equal bytes
            msgspec.structs.force_setattr(self, name, float(getattr(self, name)))
        if not (math.isfinite(self.unit) and math.isfinite(self.horizon) and 0 < self.unit <= self.horizon):
            raise ParameterError(f"steps of unit={self.unit} up to horizon={self.horizon}: give 0 < unit ≤ horizon")
        if not self.horizon / self.unit < MOST_POINTS:
            raise ParameterError(
                f"a time grid of {self.horizon / self.unit:g} points; at most {MOST_POINTS} are summed: give a larger "
                "unit"
            )

    def __str__(self) -> str:
        return f"from {self.time} until {self.event}, in steps of {self.unit:g} up to {self.horizon:g}"

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

    @property
    def axis(self) -> Axis:
        """The event's column, as it is cut into rows with the event up to the horizon and all others."""
        return self.event, (self.time, self.end)

    @classmethod
    def column(cls, horizon: float, unit: float, decimals: int) -> Number:
        """Return what a query must say of the time column: its range ends one step beyond the grid on either side."""
        return Number(-unit, horizon + unit, decimals)

    def check(self, query: Domain) -> None:
        """Raise `ParameterError` for columns that cannot be followed along this grid."""
        time = query.number(self.time)
        step = self._step(time)
        if not step or abs(self.unit * time.scale - step) > 1e-6:
            raise ParameterError(f"steps of {self.unit} are no whole units of column {self.time!r}: give it decimals")
        if time.low >= 0 or time.high <= self.horizon:
            raise ParameterError(
                f"column {self.time!r} has the range {time.low:g} to {time.high:g}: it must begin below 0 and end "
                f"beyond the horizon {self.horizon:g}, so that negative times are found and later ones are censored"
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
        beyond = points > self.last
        event = (rows.codes(self.event) == 1) & ~beyond
        return np.where(beyond, self.last, points), event

    def _step(self, time: Number | Category) -> int:
        assert isinstance(time, Number)
        return round(self.unit * time.scale)
