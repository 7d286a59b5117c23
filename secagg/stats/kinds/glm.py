"""Generalised linear models by Newton's method: linear, logistic and Poisson regression.

    each step: n, the score Σ z (y − μ), the triangle of the information Σ v z zᵀ, and the deviance, at one β

Counts go first, with the sum of the outcome: they say whether each category has enough rows, and where to begin.
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
from secagg_protocols.errors import InputError, ParameterError, ProtocolViolation

from .coefficients import coefficients_of
from .design import Design, Terms, columns_of
from .families import Family, Linear, Logistic, Poisson
from .glm_result import GlmResult
from .newton import Evaluation, Reals, Search, advance, inverse, symmetric, triangle
from .reals import LARGEST, check_exponent, exponent_for, to_integers, to_reals

INTERCEPT = "(intercept)"

MOST_INTERCEPT = 60.0
"""Beyond it e^η is no number that a count could be."""


class GlmState(State, frozen=True):
    """search: what is evaluated, the intercept first; nothing in it before the counts. exponent: sums are scaled by two
    to its power. null: the deviance without covariates. found: of a search that has converged, the coefficients in
    the columns' own units, then their standard errors before the dispersion. rows: of the last sum."""

    search: Search
    exponent: int = 0
    null: tuple[float, ...] = ()
    found: tuple[float, ...] = ()
    rows: int = 0

    @property
    def done(self) -> bool:
        return self.search.converged


class Glm(Statistic, frozen=True, tag="glm"):
    """A generalised linear model of all sites' rows together, with an intercept.

    outcome: a column; terms: columns, and products of them. family: linear (numbers), logistic (two categories, the
    second counts as 1) or poisson (counts). exposure: a column that the mean of a Poisson model is in proportion to.
    """

    outcome: str
    terms: Terms
    family: Literal["linear", "logistic", "poisson"]
    exposure: str = ""

    def model(self, query: Domain) -> Family:
        """Return the family as functions of rows."""
        if self.family == "poisson":
            return Poisson(self.outcome, query.number(self.outcome).high, self.exposure)
        return Linear(self.outcome) if self.family == "linear" else Logistic(self.outcome)

    def state_type(self) -> type[State]:
        return GlmState

    def reads(self) -> tuple[str, ...]:
        exposure = (self.exposure,) if self.exposure else ()
        return tuple(dict.fromkeys((self.outcome, *columns_of(self.terms), *exposure)))

    def check(self, query: Domain) -> None:
        if self.exposure and self.family != "poisson":
            raise ParameterError(
                f"exposure {self.exposure!r} belongs to a poisson model, and this one is {self.family}"
            )
        if self.outcome in columns_of(self.terms):
            raise ParameterError(f"outcome {self.outcome!r} is among the covariates, too: leave it out of one of them")
        self.model(query).check(query)
        Design.of(self.terms, query)

    def begin(self, query: Domain) -> State:
        return GlmState(Search(()))

    def check_state(self, state: GlmState, query: Domain) -> None:
        search = state.search
        if not search.at:
            return
        why = search.not_answered(
            Design.of(self.terms, query).size + 1, slopes=1, most_reach=self.model(query).most_reach
        )
        if not why and abs(search.at[0]) - search.reach(1) > MOST_INTERCEPT:
            why = "has an intercept that no mean is"
        if why:
            raise refuse_state(self, why)
        check_exponent(state.exponent, self._bound(search, query), query.rows)

    def spans(self, state: GlmState, query: Domain) -> Spans:
        design = Design.of(self.terms, query)
        if state.search.at:
            size = design.size + 1
            return Spans.of((1, 0, query.rows), (size + size * (size + 1) // 2 + 1, -LARGEST, LARGEST))
        return Spans.of((1 + design.cells, 0, query.rows), (2, -LARGEST, LARGEST))

    def local(self, rows: Rows, state: GlmState, query: Domain) -> NDArray[np.int64]:
        complete = rows.complete()
        design = Design.of(self.terms, query)
        y, offset = self.model(query).read(complete)
        if not state.search.at:
            sums = np.array([y.sum(), np.exp(offset).sum()])
            counts = [complete.count, *design.counted(complete)]
            return np.concatenate([counts, to_integers(sums, self._first_exponent(query))])
        z = np.concatenate([np.ones((complete.count, 1)), design.matrix(complete)], axis=1)
        parts = self.model(query).parts(z @ np.array(state.search.at), y, offset)
        information = (z * parts.variance[:, None]).T @ z
        reals = np.concatenate([z.T @ parts.residual, triangle(information), [parts.deviance.sum()]])
        return np.concatenate([[complete.count], to_integers(reals, state.exponent)])

    def combine(self, total: NDArray[np.int64], state: GlmState, query: Domain) -> State:
        design = Design.of(self.terms, query)
        rows = int(total[0])
        if not state.search.at:
            return self._started(total, design, query)
        if rows != state.rows:  # others than before: the null model is not theirs, so it begins anew
            return self.begin(query)
        names = (INTERCEPT, *design.names)
        size = len(names)
        reals = to_reals(total[1:], state.exponent)
        here = Evaluation(rows, float(reals[-1]), reals[:size], symmetric(reals[size:-1], size))
        if here.loss < 0:
            raise ProtocolViolation("a deviance below 0 is one of no rows: a site has added what it cannot have")
        if rows <= size:
            raise InputError(f"{rows} rows for {size} coefficients: there is no model of them; leave covariates out")
        search = advance(state.search, here, names, state.exponent)
        found: tuple[float, ...] = ()
        if search.converged:
            if not here.loss > 0:
                raise InputError(
                    f"the model tells outcome {self.outcome!r} exactly in these rows, so that nothing is left to take "
                    "standard errors from: leave covariates out"
                )
            found = self._found(np.array(search.at), inverse(here.information, names), design, query)
        else:
            search.refuse_far(names, slopes=1, most_reach=self.model(query).most_reach)
        exponent = exponent_for(self._bound(search, query), query.rows)
        return GlmState(search, exponent, state.null or (here.loss,), found, rows)

    def _started(self, total: NDArray[np.int64], design: Design, query: Domain) -> State:
        """Begin at the model without covariates. Raises: InputError where too few rows are there for one."""
        rows = int(total[0])
        if rows < max(query.minimum_cell, 1):
            raise InputError(f"fewer than {max(query.minimum_cell, 1)} rows have all of the model's columns: no model")
        design.refuse_small(total[1:-2].tolist(), query.minimum_cell)
        y, exposure = to_reals(total[-2:], self._first_exponent(query))
        intercept = self.model(query).first_intercept(rows, float(y), float(exposure), query.minimum_cell)
        search = Search((intercept,) + (0.0,) * design.size)
        return GlmState(search, exponent_for(self._bound(search, query), query.rows), rows=rows)

    def _found(self, beta: Reals, covariance: Reals, design: Design, query: Domain) -> tuple[float, ...]:
        coefficients, errors = design.in_units(beta, covariance, intercept=True)
        model = self.model(query)
        if isinstance(model, Linear):
            coefficients, errors = coefficients * model.half(query), errors * model.half(query)
            coefficients[0] += model.middle(query)
        return (*coefficients.tolist(), *errors.tolist())

    def finish(self, state: GlmState, query: Domain) -> Result:
        design = Design.of(self.terms, query)
        model = self.model(query)
        freedom = state.rows - design.size - 1
        # Of a linear model the sums have half the outcome's range as their unit.
        unit = model.half(query) if isinstance(model, Linear) else 1.0
        spread = math.sqrt(state.search.loss / freedom) if isinstance(model, Linear) else 1.0
        estimates = state.found[: design.size + 1]
        errors = [error * spread for error in state.found[design.size + 1 :]]
        return GlmResult(
            outcome=self.outcome,
            level=query.category(self.outcome).values[1] if self.family == "logistic" else "",
            family=self.family,
            n=state.rows,
            references=design.references,
            coefficients=coefficients_of(
                (INTERCEPT, *design.names),
                estimates,
                errors,
                freedom=freedom if self.family == "linear" else None,
                ratios=model.ratios,
            ),
            dispersion=(spread * unit) ** 2,
            deviance=state.search.loss * unit**2,
            null_deviance=state.null[0] * unit**2,
            freedom=freedom,
            steps=state.search.evaluations,
        )

    def _bound(self, search: Search, query: Domain) -> float:
        return self.model(query).bound(search.at[0], search.reach(1), query)

    def _first_exponent(self, query: Domain) -> int:
        """Return the scale of the sums of outcome and exposure: what a row adds is at most 1, or a bound of counts."""
        model = self.model(query)
        if not isinstance(model, Poisson):
            return exponent_for(1.0, query.rows)
        exposure = query.number(self.exposure).high if self.exposure else 1.0
        return exponent_for(max(model.most, exposure), query.rows)
