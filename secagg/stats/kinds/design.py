"""Covariates of a model, made by each site from public bounds alone: every one lies in [−1, 1].

A number x between `low` and `high` becomes z = (x − middle) / half; each category but the first becomes 1 for its rows
and 0 for all others (treatment coding), and so z = ±1. A product of two columns is the product of their z, and what
comes out is put back into the columns' own units.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import compress, product
from math import prod

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


def columns_of(terms: Terms) -> tuple[str, ...]:
    """Return the columns that terms name, each once."""
    return tuple(dict.fromkeys(name for term in terms for name in term))


@dataclass(frozen=True)
class Factor:
    """A column, or one of its categories, of which `level` is the place. low, high: its public range."""

    column: str
    level: int | None
    name: str
    low: float = 0.0
    high: float = 1.0

    @property
    def middle(self) -> float:
        return (self.low + self.high) / 2

    @property
    def half(self) -> float:
        return (self.high - self.low) / 2

    def values(self, rows: Rows) -> Reals:
        """Return z, row by row."""
        if self.level is None:
            return np.clip((rows.numbers(self.column) - self.middle) / self.half, -1, 1)
        return np.where(rows.codes(self.column) == self.level, 1.0, -1.0)


@dataclass(frozen=True)
class Covariate:
    """One column of the design: a product of factors."""

    factors: tuple[Factor, ...]

    @property
    def name(self) -> str:
        return ":".join(factor.name for factor in self.factors)

    def values(self, rows: Rows) -> Reals:
        """Return z, row by row."""
        return reduce(np.multiply, (factor.values(rows) for factor in self.factors))

    def expanded(self) -> Iterator[tuple[Covariate, float]]:
        """Yield the products of x that Π (x − middle) / half is made of, and how often; the empty one is 1."""
        for kept in product((True, False), repeat=len(self.factors)):
            share = prod(
                (1 if keep else -factor.middle) / factor.half for keep, factor in zip(kept, self.factors, strict=True)
            )
            yield Covariate(tuple(compress(self.factors, kept))), share


@dataclass(frozen=True)
class Design:
    """covariates, in the order of their terms. levels: each column of categories among them, with its categories."""

    covariates: tuple[Covariate, ...]
    levels: tuple[tuple[str, tuple[str, ...]], ...]

    @classmethod
    def of(cls, terms: Terms, query: Domain) -> Design:
        """Make the design of some terms. Raises: ParameterError for terms that have none."""
        if not terms or not all(terms):
            raise ParameterError("a model without covariates: name at least one")
        if twice := [term for place, term in enumerate(terms) if set(term) in [set(one) for one in terms[:place]]]:
            raise ParameterError(f"{':'.join(twice[0])} is in the model twice: name it once")
        for term in terms:
            if len(set(term)) < len(term) or len(term) > 2:
                raise ParameterError(f"{':'.join(term)} is no product of two different columns: leave it out")
            if lacking := [name for name in term if (name,) not in terms]:
                raise ParameterError(f"{':'.join(term)} needs {lacking[0]!r} beside it: add that to the model")
        factors = {name: _factors(name, query) for name in columns_of(terms)}
        size = sum(prod(len(factors[name]) for name in term) for term in terms)
        if size > MOST_COVARIATES:  # before any is made: a query may ask for very many
            raise ParameterError(f"{size} covariates; at most {MOST_COVARIATES} are summed: leave some out")
        covariates = tuple(Covariate(one) for term in terms for one in product(*(factors[name] for name in term)))
        categories = [name for name in columns_of(terms) if isinstance(query.columns[name], Category)]
        levels = tuple((name, query.category(name).values) for name in categories)
        if alone := [(name, values[0]) for name, values in levels if len(values) == 1]:
            name, value = alone[0]
            raise ParameterError(f"column {name!r} has one category, {value!r}, to compare with no other: leave it out")
        return cls(covariates, levels)

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
                few = f"fewer than {least} rows" if count else "no row"
                raise InputError(
                    f"category {value!r} of column {name!r} has {few} at all sites together: join it with another, or "
                    "leave the column out"
                )

    def in_units(self, beta: Reals, covariance: Reals, *, intercept: bool) -> tuple[Reals, Reals]:
        """Return coefficients of x, and their standard errors, from those of z; an intercept stands first."""
        place = {covariate: number for number, covariate in enumerate(self.covariates, start=1)}
        change = np.zeros((self.size + 1, self.size + 1))
        change[0, 0] = 1
        for covariate, number in place.items():
            for monomial, share in covariate.expanded():
                change[place.get(monomial, 0), number] += share
        if not intercept:
            change = change[1:, 1:]
        return change @ beta, np.sqrt(np.diag(change @ covariance @ change.T))


def _factors(name: str, query: Domain) -> list[Factor]:
    column = query.columns.get(name)
    if isinstance(column, Category):
        return [Factor(name, level, f"{name}={value}") for level, value in enumerate(column.values) if level]
    number = query.number(name)
    return [Factor(name, None, name, number.low_units / number.scale, number.high_units / number.scale)]
