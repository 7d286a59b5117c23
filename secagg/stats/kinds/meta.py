"""Meta-analysis of what each site estimates from its own rows, of which only sums over the sites are seen.

As DerSimonian and Laird (1986) have it:

    w = 1 / v    k, Σ w, Σ w θ, Σ w θ², Σ w²    θ̂ = Σ w θ / Σ w    Q = Σ w θ² − (Σ w θ)² / Σ w
    τ² = max(0, (Q − (k − 1)) / (Σ w − Σ w² / Σ w))    then k, Σ w*, Σ w* θ with w* = 1 / (v + τ²)
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from secagg.stats.domain import Domain
from secagg.stats.results import Result, Shown
from secagg.stats.rows import Rows
from secagg.stats.spans import Spans
from secagg.stats.statistic import State, Statistic, refuse_state
from secagg_protocols.errors import InputError, ParameterError, ProtocolViolation

from .coefficients import Coefficient, coefficients_of, degrees
from .laws import chi2_tail
from .newton import Reals
from .reals import LARGEST, exponent_for, to_integers, to_reals

LEAST_SITES = 3
"""Of two sites' sums each site could take off its own and know the other's."""

FINEST = 1e-5
"""What rounding may change of Σ w − Σ w² / Σ w; of the random effect's standard error it is about a tenth."""

LEAST_SPREAD = 1 / 256
"""A standard deviation below this part of half the public range counts as this part: weights have an upper bound."""


class MetaState(State, frozen=True):
    """sums: of the first step, none before it. tau2: τ², in the unit of the sums. last: of the second step."""

    sums: tuple[float, ...]
    tau2: float
    last: tuple[float, ...]

    @property
    def done(self) -> bool:
        return bool(self.last)


class MetaResult(Result, frozen=True, tag="meta"):
    """sites: that had an estimate. fixed, random: the pooled effect when sites share one, and when theirs differ by τ².

    q: Cochran's Q, with its p; i2: how much of the variation is between the sites.
    """

    effect: str
    column: str
    by: str
    sites: int
    fixed: Coefficient
    random: Coefficient
    tau2: float
    q: float
    q_p: float
    i2: float

    def tables(self) -> Iterable[Shown]:
        rows = [
            (c.name, c.estimate, c.standard_error, c.statistic, c.p, c.low, c.high, c.ratio)
            for c in (self.fixed, self.random)
        ]
        yield Shown(
            f"meta-analysis: {self.effect.replace('_', ' ')} of {self.column}" + (f" by {self.by}" if self.by else ""),
            ("effects", "estimate", "se", "z", "p", "low .95", "high .95", "exp(estimate)"),
            tuple(rows),
            (
                f"{self.sites} sites; heterogeneity: Q = {self.q:.4g} on {degrees(self.sites - 1)}, "
                f"p = {self.q_p:.4g}, I² = {self.i2:.1%}, τ² = {self.tau2:.4g}",
            ),
        )


class Meta(Statistic, frozen=True, tag="meta"):
    """Effects that sites estimate, pooled.

    effect: the mean of a column of numbers; the difference of its means between the two
    categories of `by` (the second less the first); or the log odds ratio of two columns of two categories each."""

    effect: Literal["mean", "difference", "log_odds_ratio"]
    column: str
    by: str = ""

    def state_type(self) -> type[State]:
        return MetaState

    def reads(self) -> tuple[str, ...]:
        return (self.column, self.by) if self.by else (self.column,)

    def check(self, query: Domain) -> None:
        if bool(self.by) == (self.effect == "mean"):
            raise ParameterError(f"effect {self.effect} of {self.column!r}: a mean has no 'by', the others need one")
        names = [self.by] if self.by else []
        if self.effect == "log_odds_ratio":
            names.append(self.column)
        else:
            query.number(self.column)
        for name in names:
            if len(query.category(name).values) != 2:
                raise ParameterError(f"column {name!r} has not two categories: effect {self.effect} compares two")

    def begin(self, query: Domain) -> State:
        return MetaState((), 0.0, ())

    def check_state(self, state: MetaState, query: Domain) -> None:
        if not 0 <= state.tau2 <= 4 * self._largest(query) ** 2:
            raise refuse_state(self, "has sites that differ by more than effects can")

    def spans(self, state: MetaState, query: Domain) -> Spans:
        return Spans.of((1, 0, 1), (2 if state.sums else 4, -LARGEST, LARGEST))

    def local(self, rows: Rows, state: MetaState, query: Domain) -> NDArray[np.int64]:
        exponents = self._exponents(state, query)
        estimate = self._estimate(rows.complete(), query)
        if estimate is None:
            return np.zeros(1 + len(exponents), dtype=np.int64)
        effect, variance = estimate
        weight = 1 / (variance + state.tau2)
        summands = [weight, weight * effect, weight * effect**2, weight**2][: len(exponents)]
        return np.array([1, *(_scaled(one, exponent) for one, exponent in zip(summands, exponents, strict=True))])

    def combine(self, total: NDArray[np.int64], state: MetaState, query: Domain) -> State:
        sites = int(total[0])
        if sites < LEAST_SITES:
            raise InputError(
                f"fewer than {LEAST_SITES} sites have an estimate of {self.column!r}: a sum of theirs would tell one's"
            )
        exponents = self._exponents(state, query)
        values = [float(to_reals(one, exponent)) for one, exponent in zip(total[1:], exponents, strict=True)]
        if not values[0] > 0 or min(values[2:], default=0.0) < 0:
            raise ProtocolViolation(
                "the weights of a meta-analysis are not above 0: a site has added what it cannot have"
            )
        if state.sums and sites != state.sums[0]:  # others than before: τ² is not theirs, so it begins anew
            return self.begin(query)
        if state.sums:
            return MetaState(state.sums, state.tau2, (float(sites), *values))
        weight, weighted, squares, weights = values
        spread = weight - weights / weight
        if not math.ldexp(math.sqrt(sites), -exponents[-1]) < FINEST * weight * spread:
            raise InputError(
                f"the sums have room for {math.ldexp(1, -exponents[-1]):.2g} at the finest, which is too coarse for "
                f"the squared weights of {self.column!r}: give narrower bounds, or lower rows"
            )
        between = (squares - weighted**2 / weight - (sites - 1)) / spread
        return MetaState((float(sites), *values), min(max(0.0, between), 4 * self._largest(query) ** 2), ())

    def finish(self, state: MetaState, query: Domain) -> Result:
        sites, weight, weighted, squares, _ = state.sums
        q = max(0.0, squares - weighted**2 / weight)
        middle, half = self._unit(query)
        pairs = [(weight, weighted), state.last[1:]]
        fixed, random = coefficients_of(
            ("fixed", "random"),
            [middle + half * effect / total for total, effect in pairs],
            [half / math.sqrt(total) for total, _ in pairs],
            freedom=None,
            ratios=self.effect == "log_odds_ratio",
        )
        freedom = int(sites) - 1
        return MetaResult(
            effect=self.effect,
            column=self.column,
            by=self.by,
            sites=int(state.last[0]),
            fixed=fixed,
            random=random,
            tau2=state.tau2 * half**2,
            q=q,
            q_p=chi2_tail(q, freedom),
            i2=max(0.0, (q - freedom) / q) if q else 0.0,
        )

    def _unit(self, query: Domain) -> tuple[float, float]:
        """Return what 0 and 1 stand for in the sums."""
        if self.effect == "log_odds_ratio":
            return 0.0, 1.0
        column = query.number(self.column)
        half = column.half / column.scale
        return (column.middle / column.scale if self.effect == "mean" else 0.0), half

    def _largest(self, query: Domain) -> float:
        """Return the largest effect, in the unit of the sums."""
        if self.effect == "log_odds_ratio":
            return 2 * math.log(2 * query.rows + 1)
        return 1.0 if self.effect == "mean" else 2.0

    def _exponents(self, state: MetaState, query: Domain) -> tuple[int, ...]:
        """Return the scale of each sum; they follow from the query alone."""
        effect = self._largest(query)
        weight = (query.rows + 2) / 16 if self.effect == "log_odds_ratio" else query.rows / LEAST_SPREAD**2
        bounds = (weight, weight * effect, weight * effect**2, weight**2)
        return tuple(exponent_for(bound, 1) for bound in (bounds[:2] if state.sums else bounds))

    def _estimate(self, rows: Rows, query: Domain) -> tuple[float, float] | None:
        """Return a site's effect and its variance; None where it has too few rows for one."""
        if self.effect == "log_odds_ratio":
            return _log_odds_ratio(rows.codes(self.column), rows.codes(self.by))
        middle, half = self._unit(query)
        values = (rows.numbers(self.column) - middle) / half
        if not self.by:
            return _mean(values)
        codes = rows.codes(self.by)
        first, second = (_mean(values[codes == level]) for level in range(2))
        if first is None or second is None:
            return None
        return second[0] - first[0], first[1] + second[1]


def _mean(values: Reals) -> tuple[float, float] | None:
    if len(values) < 2:
        return None
    return float(values.mean()), max(float(values.var(ddof=1)), LEAST_SPREAD**2) / len(values)


def _log_odds_ratio(one: NDArray[np.int64], other: NDArray[np.int64]) -> tuple[float, float] | None:
    """As Woolf (1955); where a cell is empty, one half is added to all four (Haldane, Anscombe)."""
    if not len(one):
        return None
    cells = np.bincount(2 * one + other, minlength=4).astype(np.float64)
    if not cells.all():
        cells += 0.5
    return float(np.log(cells[0] * cells[3] / (cells[1] * cells[2]))), float((1 / cells).sum())


def _scaled(value: float, exponent: int) -> int:
    return int(to_integers(np.array([value]), exponent)[0])
