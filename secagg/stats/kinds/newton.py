"""Newton's method from sums: what is evaluated next, when it is enough, and what says that there is no estimate."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray

from secagg_protocols.core.wire import Message
from secagg_protocols.errors import InputError

Reals = NDArray[np.float64]

CLOSE = 1e-7
"""A step as short as this, in standard errors, is the last one: what it leaves is about its square."""

MOST_EVALUATIONS = 30

MOST_HALVINGS = 8

MOST_REACH = 100.0
"""How far covariates may move a linear predictor, at any values in their public ranges, which are often generous."""

SETTLED = 15
GROWING = 0.1
"""After so many evaluations a coefficient that still grows by more has no end: its steps are 1, and do not shrink."""

FINEST = 1e-6
"""What rounding one site's sums may change, in standard errors of an estimate, and of them."""

SINGULAR = 1e-10
"""Smallest eigenvalue of the information's correlation matrix that is one; rounding of the sums lies far below."""


class Search(Message, frozen=True):
    """Where Newton's method is. at: what is evaluated next; once converged, the estimate.

    accepted, loss, rows: the last coefficients that were no step backwards, their loss and of how many rows it was.
    Covariates lie in [−1, 1], so that the coefficients say how far a row's linear predictor can be from another's.
    """

    at: tuple[float, ...]
    accepted: tuple[float, ...] = ()
    loss: float = 0.0
    rows: int = 0
    evaluations: int = 0
    halvings: int = 0
    converged: bool = False

    def reach(self, slopes: int = 0) -> float:
        """Return the most that the covariates move a linear predictor either way. slopes: where they begin."""
        return sum(abs(value) for value in self.at[slopes:])

    def not_answered(self, size: int, slopes: int, most_reach: float = MOST_REACH) -> str:
        """Say why a site should not evaluate this, or nothing. An aggregator that cheats chooses it."""
        if len(self.at) != size or not all(map(math.isfinite, self.at)):
            return f"has not {size} finite coefficients"
        if not 0 <= self.evaluations < MOST_EVALUATIONS:
            return f"has {self.evaluations} evaluations behind it; at most {MOST_EVALUATIONS} are answered"
        if not self.evaluations and self.reach(slopes):
            return "does not begin at 0"
        if self.reach(slopes) > most_reach:
            return f"moves linear predictors by {self.reach(slopes):.3g}; at most {most_reach:g} are answered"
        return ""

    def refuse_far(self, names: Sequence[str], slopes: int = 0, most_reach: float = MOST_REACH) -> None:
        """Raise `InputError` where coefficients run away: what sites would not answer any more."""
        if self.reach(slopes) <= most_reach:
            return
        raise _endless(names[slopes + int(np.argmax(np.abs(self.at[slopes:])))])


@dataclass(frozen=True)
class Evaluation:
    """What the sums say at one point. loss: a deviance, or −2 log of the likelihood. information: of half of it."""

    rows: int
    loss: float
    score: Reals
    information: Reals


def advance(search: Search, here: Evaluation, names: Sequence[str], exponent: int) -> Search:
    """Return the search after one evaluation. Raises: InputError, naming a covariate, where there is no estimate.

    A step that made the loss larger is halved. Both are of the same rows. exponent: of the sums (`reals`).
    """
    evaluations = search.evaluations + 1
    worse = bool(search.accepted) and here.loss > search.loss + 1e-9 * (1 + abs(search.loss))
    if worse and search.halvings < MOST_HALVINGS and evaluations < MOST_EVALUATIONS:
        middle = (np.array(search.at) + np.array(search.accepted)) / 2
        return msgspec.structs.replace(search, at=_plain(middle), evaluations=evaluations, halvings=search.halvings + 1)
    covariance = inverse(here.information, names)
    step = covariance @ here.score
    length = math.sqrt(max(float(here.score @ step), 0.0))
    if evaluations >= SETTLED and np.abs(step).max() > GROWING:
        raise _endless(names[int(np.argmax(np.abs(step)))])
    # Where rounding moves the estimate by more than CLOSE, steps never become that short.
    converged = length <= max(CLOSE, min(_rounding(covariance, exponent), FINEST))
    if evaluations == MOST_EVALUATIONS or converged:
        _check_rounding(covariance, exponent, names)
    if evaluations == MOST_EVALUATIONS and not converged:
        raise InputError(
            f"no estimate after {MOST_EVALUATIONS} steps: the last one was {length:.2g} standard errors long; leave "
            f"out covariates, {names[int(np.argmax(np.abs(step)))]!r} first"
        )
    return Search(
        at=_plain(np.array(search.at) + step),
        accepted=search.at,
        loss=here.loss,
        rows=here.rows,
        evaluations=evaluations,
        converged=converged,
    )


def _rounding(covariance: Reals, exponent: int) -> float:
    """Return what rounding one site's sums to 2^−exponent changes at most, in standard errors and of them."""
    error = math.sqrt(float(np.diag(covariance).max()))
    return math.ldexp(max(error, error**2), -exponent)


def _check_rounding(covariance: Reals, exponent: int, names: Sequence[str]) -> None:
    """Raise `InputError` where sums that are rounded to 2^−exponent are too coarse for what is estimated from them."""
    if _rounding(covariance, exponent) > FINEST:
        worst = int(np.argmax(np.diag(covariance)))
        raise InputError(
            f"the sums have room for {math.ldexp(1, -exponent):.2g} at the finest, which is too coarse for the "
            f"coefficient of {names[worst]!r}: give narrower bounds, or lower rows"
        )


def _endless(name: str) -> InputError:
    return InputError(
        f"the coefficient of {name!r} grows without end: it separates the outcomes in these rows; leave it out, or "
        "join categories"
    )


def inverse(information: Reals, names: Sequence[str]) -> Reals:
    """Invert an information matrix. Raises: InputError, naming a covariate that the others determine."""
    scale = np.sqrt(np.maximum(np.diag(information), 0.0))
    if not scale.all():
        raise InputError(f"{names[int(np.argmin(scale))]!r} never varies in these rows; leave it out")
    values, vectors = np.linalg.eigh(information / np.outer(scale, scale))
    if values[0] < SINGULAR:
        raise InputError(
            f"{names[int(np.argmax(np.abs(vectors[:, 0])))]!r} follows from the other covariates in these rows "
            "(the information matrix is singular); leave one of them out"
        )
    return np.asarray((vectors / values) @ vectors.T / np.outer(scale, scale))


def triangle(matrices: Reals) -> Reals:
    """Return the upper triangles of symmetric matrices (…, p, p), row by row, as (…, p (p + 1) / 2)."""
    rows, columns = np.triu_indices(matrices.shape[-1])
    return np.asarray(matrices[..., rows, columns])


def symmetric(triangles: Reals, size: int) -> Reals:
    """Return the symmetric matrices that these are the triangles of."""
    rows, columns = np.triu_indices(size)
    matrices = np.zeros((*triangles.shape[:-1], size, size))
    matrices[..., rows, columns] = triangles
    matrices[..., columns, rows] = triangles
    return matrices


def _plain(values: Reals) -> tuple[float, ...]:
    return tuple(float(value) for value in values)
