"""When rows leave and why, as it is typed, and what a query says of those columns."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated

import typer

from secagg.stats import Category, FollowUp
from secagg.stats.asking import Said, refuse_unknown
from secagg.train.setting import Option, Positive, check
from secagg_protocols.errors import InputError

from .model import cells_of

if TYPE_CHECKING:
    from secagg.train.table.reading import Table

FINER = 3
"""Decimals that times keep beyond those of the grid: which point they count at is seen before they are rounded."""


@dataclass(frozen=True, kw_only=True)
class Survival:
    """The columns of times and events, and the time grid."""

    time: Annotated[str, Option("Its column of times, from 0.", metavar="COLUMN")]
    event: Annotated[
        str,
        Option("Its column of events: 0 censored, 1 the event, unless others are named.", "COLUMN[=CENSORED,EVENT]"),
    ]
    unit: Annotated[float, Positive(), Option("Step of the time grid; a time counts at its end.")] = 1.0
    horizon: Annotated[
        float | None, Positive(), Option("End of the time grid, where all others are censored; else the last time.")
    ] = None

    def __post_init__(self) -> None:
        check(self)

    def follow_up(self, said: Said, table: Table | None, decimal: str) -> FollowUp:
        """Return what a query asks, and note its columns. table: to look for what no query would take.

        Raises: InputError, in one line, for times and events that are none.
        """
        event, values = self._event()
        said.category(event, values)
        horizon = self.horizon
        if table is not None:
            refuse_unknown([self.time, event], table)
            _refuse_events(event, values, table)
            last = _last(self.time, table, decimal)
            horizon = horizon or max(last, self.unit)
        if horizon is None:
            raise typer.BadParameter(
                "without a table (--csv) the time grid has no end; give one", param_hint="--horizon"
            )
        follow = FollowUp(self.time, event, _in_steps(horizon, self.unit), self.unit)
        said.number(self.time, FollowUp.column(follow.horizon, self.unit, _decimals(self.unit) + FINER))
        return follow

    def _event(self) -> tuple[str, Category]:
        name, equals, listed = self.event.partition("=")
        values = tuple(value.strip() for value in listed.split(",")) if equals else ("0", "1")
        if not name or not all(values) or len(values) != 2 or len(set(values)) < 2:
            raise typer.BadParameter(f"{self.event!r} is not COLUMN[=CENSORED,EVENT]", param_hint="--event")
        return name, Category(values)


def _refuse_events(name: str, values: Category, table: Table) -> None:
    cells = table.cells[name]
    _, there, other = values.read(name, cells.to_numpy())
    if other:
        strange = sorted(set(cells[~there].dropna()))[:2]
        raise InputError(
            f"event column {name!r} holds {', '.join(map(repr, strange))}, and an event is {values.values[0]} or "
            f"{values.values[1]}: say which values mean what (--event {name}=CENSORED,EVENT)"
        )


def _last(name: str, table: Table, decimal: str) -> float:
    """Return the last time. Raises: InputError for what is no time."""
    times = cells_of(name, table, decimal)
    if times.dtype == object:
        raise InputError(f"time column {name!r} holds texts, and numbers are needed: name another (--time)")
    if (times < 0).any():
        rows = [int(row) for row in (times < 0).to_numpy().nonzero()[0]]
        raise InputError(f"time column {name!r} is negative in {len(rows)} row(s) ({table.where(rows)}): correct them")
    if not times.notna().any():
        raise InputError(f"time column {name!r} is empty: name another (--time)")
    return float(times.max())


def _in_steps(horizon: float, unit: float) -> float:
    """Return the first point of the grid that is not before a time."""
    steps = Decimal(str(horizon)) / Decimal(str(unit))
    return float(steps.to_integral_value(rounding="ROUND_CEILING") * Decimal(str(unit)))


def _decimals(unit: float) -> int:
    exponent = Decimal(str(unit)).normalize().as_tuple().exponent
    assert isinstance(exponent, int)
    return max(0, -exponent)
