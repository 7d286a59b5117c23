"""Cox's proportional hazards by Newton's method: each step is a sum of moments of the rows that leave in an interval.

    per interval: d, Σ w, Σ w z, Σ w z zᵀ of its events, and the last three of those censored; w = exp(z β)

Counts go first: they say which points of the time grid are one interval, so that no sum is of too few rows.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from secagg.stats.domain import Domain
from secagg.stats.results import Result
from secagg.stats.rows import Rows
from secagg.stats.spans import Spans
from secagg.stats.statistic import State, Statistic, refuse_state
from secagg.stats.suppression import Axis
from secagg_protocols.errors import InputError, ParameterError

from .coefficients import coefficients_of
from .cox_result import CoxResult, overall_tests
from .design import Design, Terms, columns_of
from .follow_up import FollowUp
from .newton import Evaluation, Search, advance, inverse
from .partial_likelihood import Intervals, Moments, evaluate
from .reals import LARGEST, check_exponent, exponent_for, to_integers, to_reals

MOST_LOG_HAZARD = 12.0
"""Weights are kept within e^±12 of the average row's: no state asks for a sum in which one row is all there is."""


class CoxState(State, frozen=True):
    """starts, leaves: the `Intervals`, none before the counts. search: what is evaluated. centre: mean of z, which is
    taken from it. exponent: sums are scaled by two to its power. null: −2 log L at β = 0, and the score test there.
    found: of a search that has converged, the coefficients in the columns' own units, their standard errors, and then
    Wald's test. rows: of the last sum.
    """

    starts: tuple[int, ...]
    leaves: tuple[int, ...]
    search: Search
    centre: tuple[float, ...] = ()
    exponent: int = 0
    null: tuple[float, ...] = ()
    found: tuple[float, ...] = ()
    rows: int = 0

    @property
    def done(self) -> bool:
        return self.search.converged

    @property
    def intervals(self) -> Intervals:
        """The intervals."""
        return Intervals(self.starts, self.leaves)


class Cox(Statistic, frozen=True, tag="cox"):
    """Hazard ratios over all sites' rows together, by Cox's proportional hazards.

    terms: columns, and products of them. ties: how events at one time are taken.
    """

    follow_up: FollowUp
    terms: Terms
    ties: Literal["efron", "breslow"] = "efron"

    def state_type(self) -> type[State]:
        return CoxState

    def reads(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys((self.follow_up.time, self.follow_up.event, *columns_of(self.terms))))

    def check(self, query: Domain) -> None:
        self.follow_up.check(query)
        if among := [name for name in (self.follow_up.time, self.follow_up.event) if name in columns_of(self.terms)]:
            raise ParameterError(
                f"column {among[0]!r} says when rows leave, and is among the covariates, too: leave it out"
            )
        Design.of(self.terms, query)

    def tables(self, query: Domain) -> tuple[tuple[Axis, ...], ...]:
        return ((self.follow_up.axis,),)

    def widths(self, query: Domain) -> dict[str, float]:
        return {self.follow_up.time: self.follow_up.unit}

    def begin(self, query: Domain) -> State:
        return CoxState((), (), Search((0.0,) * Design.of(self.terms, query).size))

    def check_state(self, state: CoxState, query: Domain) -> None:
        size = Design.of(self.terms, query).size
        if why := state.search.not_answered(size, slopes=0):
            raise refuse_state(self, why)
        if not state.starts:
            return
        ends = (*state.starts, self.follow_up.points)
        if list(ends) != sorted(set(ends)) or ends[0] < 0:
            raise refuse_state(self, "has intervals that are none of the time grid")
        if len(state.leaves) != len(state.starts) or not all(
            0 <= leaves < len(state.starts) for leaves in state.leaves
        ):
            raise refuse_state(self, "has intervals that nobody leaves in")
        if len(state.centre) != size or not all(-1 <= mean <= 1 for mean in state.centre):
            raise refuse_state(self, "has means that covariates cannot have")
        check_exponent(state.exponent, _bound(state.search), query.rows)

    def spans(self, state: CoxState, query: Domain) -> Spans:
        design = Design.of(self.terms, query)
        if not state.starts:
            counts = 1 + design.cells + 2 * self.follow_up.points
            return Spans.of((counts, 0, query.rows), (design.size, -LARGEST, LARGEST))
        intervals = len(state.starts)
        sums = (intervals + len(state.intervals.waited_for)) * _width(design.size)
        return Spans.of((2 + intervals, 0, query.rows), (design.size + sums, -LARGEST, LARGEST))

    def local(self, rows: Rows, state: CoxState, query: Domain) -> NDArray[np.int64]:
        complete = rows.complete()
        points, event = self.follow_up.read(complete)
        design = Design.of(self.terms, query)
        z = design.matrix(complete)
        if not state.starts:
            left = [np.bincount(points[kind], minlength=self.follow_up.points) for kind in (event, ~event)]
            means = to_integers(z.sum(axis=0), exponent_for(1.0, query.rows))
            return np.concatenate([[complete.count], design.counted(complete), *left, means])
        z = z - np.array(state.centre)
        predictor = z @ np.array(state.search.at)
        weight = np.exp(np.clip(predictor, -MOST_LOG_HAZARD, MOST_LOG_HAZARD))
        far = int((np.abs(predictor) > MOST_LOG_HAZARD).sum())
        place = state.intervals.place(points, ~event)
        events = len(state.starts)
        waited = np.array(state.intervals.waited_for)
        censored = ~event & (place >= 0)
        tied = Moments.of(z[event], weight[event], place[event], events)
        others = Moments.of(z[censored], weight[censored], np.searchsorted(waited, place[censored]), len(waited))
        counts = np.bincount(place[event], minlength=events)
        reals = np.concatenate([z[event].sum(axis=0), tied.joined.ravel(), others.joined.ravel()])
        return np.concatenate([[complete.count, far], counts, to_integers(reals, state.exponent)])

    def combine(self, total: NDArray[np.int64], state: CoxState, query: Domain) -> State:
        design = Design.of(self.terms, query)
        if not state.starts:
            return self._grouped(total, state, design, query)
        if int(total[0]) != state.rows:  # others than before: neither intervals nor what is at β = 0 are theirs
            return self.begin(query)
        here = self._evaluated(total, state, design)
        search = advance(state.search, here, design.names, state.exponent)
        if search.converged and total[1]:
            raise InputError(
                f"hazards are more than e^{MOST_LOG_HAZARD:g} times the average one, or less than its inverse: leave "
                f"out {design.names[int(np.argmax(np.abs(search.at)))]!r}"
            )
        covariance = inverse(here.information, design.names)
        null = state.null or (here.loss, float(here.score @ covariance @ here.score))
        found: tuple[float, ...] = ()
        if search.converged:
            beta = np.array(search.at)
            coefficients, errors = design.in_units(beta, covariance, intercept=False)
            found = (*coefficients.tolist(), *errors.tolist(), float(beta @ here.information @ beta))
        else:
            search.refuse_far(design.names)
        exponent = exponent_for(_bound(search), query.rows)
        return CoxState(state.starts, state.leaves, search, state.centre, exponent, null, found, int(total[0]))

    def _grouped(self, total: NDArray[np.int64], state: CoxState, design: Design, query: Domain) -> CoxState:
        """Choose the intervals. Raises: InputError, where too few rows are there for any."""
        rows = int(total[0])
        design.refuse_small(total[1 : 1 + design.cells].tolist(), query.minimum_cell)
        events, censored = total[1 + design.cells : -design.size].reshape(2, -1)
        least = max(query.minimum_cell, 1)
        if events.sum() < least:
            few = f"fewer than {least}" if least > 1 else "none"
            raise InputError(f"{few} of all rows have the event {self.follow_up.event!r}: there is no model of them")
        if 0 < censored.sum() < least:
            raise InputError(
                f"fewer than {least} of all rows are without the event {self.follow_up.event!r}, and a model would "
                "tell how many"
            )
        chosen = Intervals.of(events, censored, least)
        means = to_reals(total[-design.size :], exponent_for(1.0, query.rows)) / rows
        centre = tuple(np.clip(means, -1, 1).tolist())
        exponent = exponent_for(_bound(state.search), query.rows)
        return CoxState(chosen.starts, chosen.leaves, state.search, centre, exponent, rows=rows)

    def _evaluated(self, total: NDArray[np.int64], state: CoxState, design: Design) -> Evaluation:
        """Read the sums at one β."""
        size = design.size
        intervals = len(state.starts)
        events = total[2 : 2 + intervals]
        reals = to_reals(total[2 + intervals :], state.exponent)
        joined = reals[size:].reshape(-1, _width(size))
        leaving = joined[:intervals].copy()
        leaving[list(state.intervals.waited_for)] += joined[intervals:]
        return evaluate(
            np.array(state.search.at),
            events,
            reals[:size],
            Moments.split(joined[:intervals], size),
            Moments.split(leaving, size),
            self.ties,
        )

    def finish(self, state: CoxState, query: Domain) -> Result:
        design = Design.of(self.terms, query)
        null, score = state.null
        *found, wald = state.found
        loss = state.search.loss
        return CoxResult(
            time=self.follow_up.time,
            event=self.follow_up.event,
            ties=self.ties,
            n=state.rows,
            events=state.search.rows,
            intervals=len(state.starts),
            minimum_cell=query.minimum_cell,
            references=design.references,
            coefficients=coefficients_of(
                design.names, found[: design.size], found[design.size :], freedom=None, ratios=True
            ),
            log_likelihood=-loss / 2,
            null_log_likelihood=-null / 2,
            tests=overall_tests(design.size, null - loss, wald, score),
            steps=state.search.evaluations,
        )


def _bound(search: Search) -> float:
    """Return the most that one row adds to a sum."""
    # Of a covariate less its mean the square is at most 4.
    return 4 * math.exp(min(2 * search.reach(), MOST_LOG_HAZARD))


def _width(size: int) -> int:
    """Return how many numbers there are in the `Moments` of one interval."""
    return 1 + size + size * (size + 1) // 2
