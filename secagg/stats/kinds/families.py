"""Families of generalised linear models: what one row gives to the score, the information and the deviance.

    η = β₀ + z β    linear: μ = η    logistic: μ = 1 / (1 + e^−η)    poisson: μ = exposure · e^η

Each link is the canonical one, so the score is Σ z (y − μ) and the information Σ v z zᵀ, v being the variance of y.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from secagg.stats.columns import Number
from secagg.stats.domain import Domain
from secagg.stats.rows import Rows
from secagg_protocols.errors import InputError, ParameterError

from .newton import MOST_REACH, Reals

LEAST_LOG_MEAN = -30.0
BEYOND = 2.0


@dataclass(frozen=True)
class Parts:
    """Of each row: y − μ, the variance v, and what it adds to the deviance."""

    residual: Reals
    variance: Reals
    deviance: Reals


class Family(Protocol):
    """One family."""

    @property
    def most_reach(self) -> float:
        """The most that covariates may move η either way."""

    @property
    def ratios(self) -> bool:
        """Whether exponentials of coefficients mean something."""

    def check(self, query: Domain) -> None:
        """Raise `ParameterError` for an outcome that it cannot have."""

    def read(self, rows: Rows) -> tuple[Reals, Reals]:
        """Return y and the offset of each row. Raises: InputError, for the site alone."""

    def parts(self, eta: Reals, y: Reals, offset: Reals) -> Parts:
        """Return each row's part."""

    def bound(self, intercept: float, reach: float, query: Domain) -> float:
        """Return the most that one row adds to any of the sums, wherever its covariates lie."""

    def first_intercept(self, rows: int, y: float, exposure: float, least: int) -> float:
        """Return η of a model without covariates. y, exposure: sums over all rows. Raises: InputError for none."""


@dataclass(frozen=True)
class Linear:
    """Numbers with the same variance everywhere; in the sums the range of the outcome is [−1, 1]."""

    outcome: str
    most_reach: float = 1000.0
    ratios: bool = False

    def check(self, query: Domain) -> None:
        query.number(self.outcome)

    def middle(self, query: Domain | Rows) -> float:
        """Return the middle of the outcome's range."""
        column = _number(query, self.outcome)
        return column.middle / column.scale

    def half(self, query: Domain | Rows) -> float:
        """Return half of the outcome's range."""
        column = _number(query, self.outcome)
        return column.half / column.scale

    def read(self, rows: Rows) -> tuple[Reals, Reals]:
        y = (rows.numbers(self.outcome) - self.middle(rows)) / self.half(rows)
        return np.clip(y, -1, 1), np.zeros(rows.count)

    def parts(self, eta: Reals, y: Reals, offset: Reals) -> Parts:
        return Parts(y - eta, np.ones_like(eta), (y - eta) ** 2)

    def bound(self, intercept: float, reach: float, query: Domain) -> float:
        return (1 + abs(intercept) + reach) ** 2

    def first_intercept(self, rows: int, y: float, exposure: float, least: int) -> float:
        return y / rows


@dataclass(frozen=True)
class Logistic:
    """One of two categories; the second is 1."""

    outcome: str
    most_reach: float = MOST_REACH
    ratios: bool = True

    def check(self, query: Domain) -> None:
        if len(values := query.category(self.outcome).values) != 2:
            raise ParameterError(f"outcome {self.outcome!r} has {len(values)} categories; a logistic model needs two")

    def read(self, rows: Rows) -> tuple[Reals, Reals]:
        if other := rows.beyond.get(self.outcome):
            raise InputError(
                f"column {self.outcome!r} holds {other} value(s) that the query does not list: correct them"
            )
        return (rows.codes(self.outcome) == 1).astype(np.float64), np.zeros(rows.count)

    def parts(self, eta: Reals, y: Reals, offset: Reals) -> Parts:
        mean = 1 / (1 + np.exp(-np.clip(eta, -700, 700)))
        return Parts(y - mean, mean * (1 - mean), 2 * np.logaddexp(0, np.where(y == 1, -eta, eta)))

    def bound(self, intercept: float, reach: float, query: Domain) -> float:
        return 2 * (abs(intercept) + reach + 1)

    def first_intercept(self, rows: int, y: float, exposure: float, least: int) -> float:
        if min(y, rows - y) < max(least, 1):
            raise InputError(
                f"one class of outcome {self.outcome!r} has fewer than {max(least, 1)} row(s) at all sites together: "
                "there is no model of it"
            )
        return math.log(y / (rows - y))


@dataclass(frozen=True)
class Poisson:
    """Counts from 0 to `most`; exposure: a column of numbers above 0 that the mean is in proportion to, if any.

    The mean of a row is kept within e^−30 and e² · most on the way, where no estimate has it.
    """

    outcome: str
    most: float
    exposure: str = ""
    most_reach: float = MOST_REACH
    ratios: bool = True

    def check(self, query: Domain) -> None:
        column = query.number(self.outcome)
        if column.low != 0:
            raise ParameterError(f"outcome {self.outcome!r} of a poisson model must be counts: give it a range from 0")
        if self.exposure and query.number(self.exposure).low_units <= 0:
            raise ParameterError(f"exposure {self.exposure!r} must lie above 0: give it a lower bound above 0")

    def read(self, rows: Rows) -> tuple[Reals, Reals]:
        offset = np.log(rows.numbers(self.exposure)) if self.exposure else np.zeros(rows.count)
        return rows.numbers(self.outcome), offset

    def parts(self, eta: Reals, y: Reals, offset: Reals) -> Parts:
        log_mean = np.clip(eta + offset, LEAST_LOG_MEAN, math.log(self.most) + BEYOND)
        mean = np.exp(log_mean)
        return Parts(y - mean, mean, 2 * (y * (np.log(np.maximum(y, 1)) - log_mean) - (y - mean)))

    def bound(self, intercept: float, reach: float, query: Domain) -> float:
        return 2 * (self.most * (math.log(self.most) - LEAST_LOG_MEAN + 1) + self.most * math.exp(BEYOND))

    def first_intercept(self, rows: int, y: float, exposure: float, least: int) -> float:
        if y < 1:
            raise InputError(
                f"outcome {self.outcome!r} is 0 in all rows at all sites together: there is no model of it"
            )
        return math.log(y / (exposure if self.exposure else rows))


def _number(query: Domain | Rows, name: str) -> Number:
    column = query.columns[name]
    assert isinstance(column, Number)
    return column
