"""Kaplan–Meier curves by group, and the log-rank test between them, from one table of counts a group.

    d_k, c_k: how many had the event, and were censored, at point k of a public time grid
    n_k = Σ_{j ≥ k} (d_j + c_j)    S_k = Π_{j ≤ k} (1 − d_j / n_j)

Counts of the groups go first; the counts in time of those that may be shown follow, with the counts of their survivors.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from secagg.stats.domain import Domain
from secagg.stats.results import Result, Shown
from secagg.stats.rows import Rows
from secagg.stats.spans import Spans
from secagg.stats.suppression import Axis

from .cells import counted, missing_note, shown_groups, shown_missing
from .coefficients import degrees
from .follow_up import FollowUp
from .joining import Joined, join
from .life_table import LifeTable, first_at_most, log_rank
from .sums import OfSums, SumsState

CONFIDENCE = 0.95


class Curve(msgspec.Struct, frozen=True):
    """One group. times: at which the curve falls; joined, if the query has a minimum cell, and then the last ones of
    intervals.

    events_in_all: None where the last of them are not told. at_risk: how many at the begin of an interval. events: in
    it. survival, its standard_error by Greenwood, and low, high: the 95 % interval.
    median: the first time at which survival is at most one half, with its interval; None where it is not reached.
    """

    group: str
    n: int
    events_in_all: int | None
    median: float | None
    median_low: float | None
    median_high: float | None
    times: tuple[float, ...]
    at_risk: tuple[int, ...]
    events: tuple[int, ...]
    survival: tuple[float, ...]
    standard_error: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]


class Difference(msgspec.Struct, frozen=True):
    """The log-rank test between the groups that have a curve. observed, expected: events of each group, and how many
    there would be were all alike."""

    groups: tuple[str, ...]
    observed: tuple[int, ...]
    expected: tuple[float, ...]
    chi2: float
    freedom: int
    p: float


class KaplanMeierResult(Result, frozen=True, tag="kaplan_meier"):
    """curves: of the groups that may be shown. log_rank: None for a single one. unit: of the time grid.

    minimum_cell: as the query has it.
    """

    time: str
    event: str
    by: str | None
    unit: float
    horizon: float
    curves: tuple[Curve, ...]
    hidden: tuple[str, ...]
    missing: int | None
    log_rank: Difference | None
    minimum_cell: int

    def tables(self) -> Iterable[Shown]:
        rows = [(c.group or "all", c.n, c.events_in_all, c.median, c.median_low, c.median_high) for c in self.curves]
        yield Shown(
            f"survival: {self.time} until {self.event}" + (f", by {self.by}" if self.by else ""),
            (self.by or "rows", "n", "events", "median", "low .95", "high .95"),
            tuple(rows),
            tuple(self._notes()),
        )
        for curve in self.curves:
            columns = (curve.times, curve.at_risk, curve.events, curve.survival, curve.standard_error)
            yield Shown(
                f"{self.by} = {curve.group}" if self.by else "all rows",
                ("time", "at risk", "events", "survival", "se", "low .95", "high .95"),
                tuple(zip(*columns, curve.low, curve.high, strict=True)),
            )
        if self.log_rank is not None:
            test = self.log_rank
            yield Shown(
                "log-rank test",
                (self.by or "", "events", "expected"),
                tuple(zip(test.groups, test.observed, test.expected, strict=True)),
                (f"χ² = {test.chi2:.4g} on {degrees(test.freedom)}, p = {test.p:.4g}",),
            )

    def _notes(self) -> Iterable[str]:
        yield f"time in steps of {self.unit:g}, up to {self.horizon:g}; intervals: log(-log S), Greenwood"
        if self.minimum_cell > 1:
            yield (
                f"times were joined, so that nothing shown is of fewer than {self.minimum_cell} events or censored "
                "rows of a group: curves and test are those of the joined times"
            )
        if any(curve.events_in_all is None for curve in self.curves):
            yield "the last events are not told, nor is it when they were: curves and test end before them"
        yield missing_note(self.missing)
        if self.hidden:
            yield f"too few rows to be shown: {', '.join(self.hidden)}"


class KaplanMeier(OfSums, frozen=True, tag="kaplan_meier"):
    """Survival of all sites' rows together, in all or in each category of `by`."""

    follow_up: FollowUp
    by: str | None = None

    @property
    def grouped_by(self) -> str | None:
        return self.by

    def reads(self) -> tuple[str, ...]:
        read = (self.follow_up.time, self.follow_up.event)
        return read if self.by is None else (*read, self.by)

    def check(self, query: Domain) -> None:
        self.follow_up.check(query)
        super().check(query)

    def tables(self, query: Domain) -> tuple[tuple[Axis, ...], ...]:
        events = self.follow_up.axis
        counts = (events,) if self.by is None else ((self.by, query.groups(self.by)), events)
        if query.minimum_cell <= 1:
            return (counts,)
        # How times are joined depends on the groups, so that curves by others would show events in between.
        return counts, ((self.follow_up.time, (self.follow_up, self.by)),)

    def widths(self, query: Domain) -> dict[str, float]:
        return {self.follow_up.time: self.follow_up.unit}

    def _spans(self, groups: Sequence[int], query: Domain) -> Spans:
        points = 2 * self.follow_up.points * len(groups)
        return Spans.of((len(query.groups(self.by)) + 1 + points, 0, query.rows))

    def local(self, rows: Rows, state: SumsState, query: Domain) -> NDArray[np.int64]:
        complete = rows.complete()
        points, event = self.follow_up.read(complete)
        codes = complete.codes(self.by)
        parts = [counted(rows, complete, self.by, query)]
        for group in state.groups:
            for left in (event, ~event):
                parts.append(np.bincount(points[(codes == group) & left], minlength=self.follow_up.points))
        return np.concatenate(parts)

    def finish(self, state: SumsState, query: Domain) -> Result:
        names = query.groups(self.by)
        # Where sites dropped out since the groups were chosen, one may have become too small.
        may = shown_groups(state.counts[:-1], query.minimum_cell)
        tables = {
            names[group]: table
            for group, table in zip(state.groups, self._life_tables(state), strict=True)
            if group in may
        }
        least = query.minimum_cell
        enough = {name: table for name, table in tables.items() if least <= 1 or table.events.sum() >= least}
        curves = {name: _without_events(name, table) for name, table in tables.items()}
        log_rank = None
        if enough:
            joined = join(tuple(enough.values()), least, ended=len(enough) < len(names))
            curves |= {
                name: self._curve(name, table, joined) for name, table in zip(enough, joined.tables, strict=True)
            }
            log_rank = _difference(tuple(enough), joined.tables)
        return KaplanMeierResult(
            time=self.follow_up.time,
            event=self.follow_up.event,
            by=self.by,
            unit=self.follow_up.unit,
            horizon=self.follow_up.end,
            curves=tuple(curves.values()),
            missing=shown_missing(state.counts, query.minimum_cell),
            hidden=tuple(name or "all" for name in names if name not in tables),
            log_rank=log_rank,
            minimum_cell=query.minimum_cell,
        )

    def are_of_rows(self, n: int, sums: Sequence[int], query: Domain) -> bool:
        return sum(sums) == n

    def _by_group(self, state: SumsState) -> list[tuple[int, tuple[int, ...]]]:
        many = 2 * self.follow_up.points
        return [
            (state.counts[group], state.sums[place * many : (place + 1) * many])
            for place, group in enumerate(state.groups)
        ]

    def _life_tables(self, state: SumsState) -> list[LifeTable]:
        counts = np.array(state.sums, dtype=np.int64).reshape(len(state.groups), 2, self.follow_up.points)
        return [LifeTable(events, censored) for events, censored in counts]

    def _curve(self, group: str, table: LifeTable, joined: Joined) -> Curve:
        low, high = table.interval(CONFIDENCE)
        survival = table.survival
        times = joined.times * self.follow_up.unit
        kept = np.flatnonzero(table.events)
        median, median_low, median_high = (
            None if (point := first_at_most(curve, 0.5)) is None else float(times[point])
            for curve in (survival, low, high)
        )
        return Curve(
            group=group,
            n=int(table.at_risk[0]),
            events_in_all=None if joined.ended else int(table.events.sum()),
            median=median,
            median_low=median_low,
            median_high=median_high,
            times=tuple(times[kept].tolist()),
            at_risk=tuple(table.at_risk[kept].tolist()),
            events=tuple(table.events[kept].tolist()),
            survival=tuple(survival[kept].tolist()),
            standard_error=tuple(table.standard_error[kept].tolist()),
            low=tuple(low[kept].tolist()),
            high=tuple(high[kept].tolist()),
        )


def _without_events(group: str, table: LifeTable) -> Curve:
    """Return what is told of a group with too few events: how many rows it has."""
    return Curve(group, int(table.at_risk[0]), None, None, None, None, (), (), (), (), (), (), ())


def _difference(groups: tuple[str, ...], tables: Sequence[LifeTable]) -> Difference | None:
    if len(tables) < 2 or not any(table.events.any() for table in tables):
        return None
    test = log_rank(tables)
    return Difference(
        groups=groups,
        observed=test.observed,
        expected=test.expected,
        chi2=test.chi2,
        freedom=test.freedom,
        p=test.p,
    )
