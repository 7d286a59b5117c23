"""Covariates of a model, made by each site from public bounds alone: every one lies in [−1, 1].

A number x between `low` and `high` becomes z = (x − middle) / half; each category but the first becomes 1 for its rows
and 0 for all others (treatment coding), and so z = ±1. A product of columns is the product of these x.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import product

import numpy as np
from numpy.typing import NDArray

from secagg.stats.columns import Category
from secagg.stats.domain import Domain
from secagg.stats.rows import Rows
from secagg_protocols.errors import InputError, ParameterError

from .newton import Reals

MOST_COVARIATES = 40

Terms = tuple[tuple[str, ...], ...]
"""Columns that are multiplied, for each term: (("age",), ("sex",), ("age", "sex"))."""


@dataclass(frozen=True)
class Factor:
    """A column in a product; of one of categories, the place of one of them."""

    column: str
    level: int | None

    def values(self, rows: Rows) -> Reals:
        """Return it row by row."""
        if self.level is None:
            return rows.numbers(self.column)
        return (rows.codes(self.column) == self.level).astype(np.float64)


@dataclass(frozen=True)
class Covariate:
    """One column of the design. low, high: its public range."""

    name: str
    factors: tuple[Factor, ...]
    low: float
    high: float

    @property
    def middle(self) -> float:
        return (self.low + self.high) / 2

    @property
    def half(self) -> float:
        return (self.high - self.low) / 2

    def values(self, rows: Rows) -> Reals:
        """Return z, row by row."""
        x = reduce(np.multiply, (factor.values(rows) for factor in self.factors))
        return np.clip((x - self.middle) / self.half, -1, 1)


@dataclass(frozen=True)
class Design:
    """covariates, in the order of their terms. levels: each column of categories among them, with its categories."""

    covariates: tuple[Covariate, ...]
    levels: tuple[tuple[str, tuple[str, ...]], ...]

    @classmethod
    def of(cls, terms: Terms, query: Domain) -> Design:
        """Make the design of some terms. Raises: ParameterError for terms that have none."""
        columns = [name for term in terms for name in term]
        if not terms or not all(terms):
            raise ParameterError("a model without covariates: name at least one")
        if twice := [term for place, term in enumerate(terms) if set(term) in [set(one) for one in terms[:place]]]:
            raise ParameterError(f"{':'.join(twice[0])} is in the model twice: name it once")
        for term in terms:
            if len(set(term)) < len(term):
                raise ParameterError(f"{':'.join(term)} multiplies a column by itself: name each once")
            if lacking := [name for name in term if (name,) not in terms]:
                raise ParameterError(f"{':'.join(term)} needs {lacking[0]!r} beside it: add that to the model")
        covariates = tuple(covariate for term in terms for covariate in _of_term(term, query))
        if len(covariates) > MOST_COVARIATES:
            raise ParameterError(f"{len(covariates)} covariates; at most {MOST_COVARIATES} are summed: leave some out")
        categories = [name for name in dict.fromkeys(columns) if isinstance(query.columns[name], Category)]
        return cls(covariates, tuple((name, query.category(name).values) for name in categories))

    @property
    def names(self) -> tuple[str, ...]:
        """The covariates' names."""
        return tuple(covariate.name for covariate in self.covariates)

    @property
    def size(self) -> int:
        """How many covariates there are."""
        return len(self.covariates)

    @property
    def cells(self) -> int:
        """How many categories there are in all."""
        return sum(len(values) for _, values in self.levels)

    @property
    def references(self) -> tuple[str, ...]:
        """What the other categories of a column are compared with: its first."""
        return tuple(f"{name}={values[0]}" for name, values in self.levels)

    def matrix(self, rows: Rows) -> Reals:
        """Return z, shape (rows, size)."""
        return np.stack([covariate.values(rows) for covariate in self.covariates], axis=1)

    def counted(self, rows: Rows) -> NDArray[np.int64]:
        """Return how many rows each category has."""
        parts = [np.bincount(rows.codes(name), minlength=len(values)) for name, values in self.levels]
        return np.concatenate([np.zeros(0, dtype=np.int64), *parts])

    def refuse_small(self, counts: Sequence[int], least: int) -> None:
        """Raise `InputError` for a category with too few rows: a coefficient of its own would be about them."""
        listed = [(name, value) for name, values in self.levels for value in values]
        for (name, value), count in zip(listed, counts, strict=True):
            if count < max(least, 1):
                raise InputError(
                    f"category {value!r} of column {name!r} has {'fewer than ' + str(least) if count else 'no'} rows at "
                    "all sites together: merge it with another, or leave the column out"
                )

    def in_units(self, beta: Reals, covariance: Reals, *, intercept: bool) -> tuple[Reals, Reals]:
        """Return coefficients of x, and their standard errors, from those of z; an intercept stands first."""
        half = np.array([covariate.half for covariate in self.covariates])
        middle = np.array([covariate.middle for covariate in self.covariates])
        change = np.diag(1 / half)
        if intercept:
            change = np.block([[np.ones((1, 1)), -(middle / half)[None, :]], [np.zeros((self.size, 1)), change]])
        return change @ beta, np.sqrt(np.diag(change @ covariance @ change.T))


def _of_term(term: tuple[str, ...], query: Domain) -> list[Covariate]:
    choices = []
    for name in term:
        column = query.columns.get(name)
        if isinstance(column, Category):
            choices.append([(Factor(name, level), 0.0, 1.0, f"{name}={column.values[level]}")
                            for level in range(1, len(column.values))])  # fmt: skip
        else:
            number = query.number(name)
            low, high = (bound / number.scale for bound in (number.low_units, number.high_units))
            choices.append([(Factor(name, None), low, high, name)])
    return [_multiplied(chosen) for chosen in product(*choices)]


def _multiplied(chosen: tuple[tuple[Factor, float, float, str], ...]) -> Covariate:
    low, high = 1.0, 1.0
    for _, least, most, _ in chosen:
        corners = [low * least, low * most, high * least, high * most]
        low, high = min(corners), max(corners)
    return Covariate(":".join(name for *_, name in chosen), tuple(factor for factor, *_ in chosen), low, high)
