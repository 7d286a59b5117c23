"""Kaplan–Meier, log-rank and Cox beside lifelines and statsmodels on the pooled rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from secagg.extras import needed
from secagg.stats import Category, Cox, FollowUp, KaplanMeier, Number, Query, simulate

from ..privacy.rows import Row
from . import tables
from .tables import Tabled

EQUAL = 1e-12
"""Relative difference of what is counted."""
CLOSE = 1e-6
"""Relative difference of what Newton's method finds."""


@dataclass(frozen=True)
class Followed:
    """What is asked of one table. covariates: numbers with their ranges; by: a column of categories."""

    table: Tabled
    time: str
    event: str
    by: str
    covariates: dict[str, Number]
    unit: float = 1.0

    @property
    def complete(self) -> Any:
        """The pooled rows that all statistics of the query are of."""
        return self.table.rows.dropna(subset=[self.time, self.event, self.by, *self.covariates])

    @property
    def query(self) -> Query:
        """Curves by group, and Cox's model with either way to take ties."""
        rows = self.table.rows
        steps = int(np.ceil(rows[self.time].max() / self.unit - 1e-9))
        follow = FollowUp(self.time, self.event, steps * self.unit, self.unit)
        terms = tuple((name,) for name in (*self.covariates, self.by))
        return Query(
            columns={
                self.time: FollowUp.column(follow.horizon, self.unit, 3),
                self.event: Category(("0", "1")),
                self.by: Category(tuple(sorted(rows[self.by].dropna().unique()))),
                **self.covariates,
            },
            rows=self.table.most_rows,
            minimum_cell=0,
            statistics=(KaplanMeier(follow, self.by), Cox(follow, terms), Cox(follow, terms, "breslow")),
        )


def of_lung() -> Followed:
    return Followed(tables.lung(), "time", "status", "sex", {"age": Number(0, 120, 0), "ecog": Number(0, 5, 0)})


def of_all() -> Iterator[Followed]:
    """Yield every survival table."""
    yield of_lung()
    yield Followed(tables.breast(), "time", "cens", "tgrade", {"age": Number(0, 120, 0), "pnodes": Number(0, 100, 0)})
    yield Followed(tables.larynx(), "time", "death", "stage", {"age": Number(0, 120, 0)}, 0.1)
    yield Followed(tables.kidney(), "time", "death", "sex", {"age": Number(0, 120, 0)})
    yield Followed(tables.heart(), "survival", "censors", "old", {"age": Number(0, 120, 2)})


def survival(asked: Followed) -> Iterator[Row]:
    """Yield how far the figures of a table are from those of its pooled rows."""
    query = asked.query
    curves, efron, breslow = (result.plain() for result in simulate(query, asked.table.sites).results)
    part = asked.table.name
    yield Row(part, "Kaplan–Meier by group, with intervals", _curves_apart(asked, curves), most=EQUAL)
    yield Row(part, "log-rank χ²", _log_rank_apart(asked, curves["log_rank"]["chi2"]), most=EQUAL)
    for ties, found in (("efron", efron), ("breslow", breslow)):
        for what, apart in zip(("coefficients", "standard errors"), _cox_apart(asked, ties, found), strict=True):
            yield Row(part, f"Cox, {ties}: {what}", apart, most=CLOSE)
    yield Row(part, "Cox, efron: coefficients, from lifelines", _lifelines_apart(asked, efron), most=CLOSE)


def _curves_apart(asked: Followed, found: dict[str, Any]) -> float:
    with needed("bench"):
        from lifelines import KaplanMeierFitter
    worst = 0.0
    for curve in found["curves"]:
        rows = asked.complete[asked.complete[asked.by] == curve["group"]]
        fitted = KaplanMeierFitter().fit(rows[asked.time].round(6), rows[asked.event].astype(int))
        times = np.round(curve["times"], 6)
        worst = max(worst, apart(curve["survival"], fitted.survival_function_at_times(times)))
        bounds = fitted.confidence_interval_.loc[times].to_numpy().T
        # lifelines has no interval where the curve has reached 0.
        inside = np.array(curve["survival"]) > 0
        for side, expected in zip(("low", "high"), bounds, strict=True):
            worst = max(worst, apart(np.array(curve[side])[inside], expected[inside]))
    return worst


def _log_rank_apart(asked: Followed, chi2: float) -> float:
    with needed("bench"):
        from lifelines.statistics import multivariate_logrank_test
    rows = asked.complete
    test = multivariate_logrank_test(rows[asked.time], rows[asked.by], rows[asked.event].astype(int))
    return apart([chi2], [test.test_statistic])


def _design(asked: Followed) -> Any:
    """Return the pooled rows that the model is of, and its covariates."""
    import pandas as pd

    rows = asked.complete
    levels = pd.get_dummies(rows[asked.by], drop_first=True, dtype=float)
    return rows, pd.concat([rows[list(asked.covariates)].astype(float), levels], axis=1)


def _cox_apart(asked: Followed, ties: str, found: dict[str, Any]) -> tuple[float, float]:
    with needed("bench"):
        from statsmodels.duration.hazard_regression import PHReg
    rows, covariates = _design(asked)
    fitted = PHReg(rows[asked.time].round(6), covariates, status=rows[asked.event].astype(int), ties=ties).fit(
        tol=1e-12
    )
    return (
        apart([one["estimate"] for one in found["coefficients"]], fitted.params),
        apart([one["standard_error"] for one in found["coefficients"]], fitted.bse),
    )


def _lifelines_apart(asked: Followed, found: dict[str, Any]) -> float:
    with needed("bench"):
        from lifelines import CoxPHFitter
    rows, covariates = _design(asked)
    table = covariates.assign(time=rows[asked.time].round(6), event=rows[asked.event].astype(int))
    options = {"precision": 1e-14, "r_precision": 1e-14}  # it stops at five digits otherwise
    fitted = CoxPHFitter().fit(table, "time", "event", fit_options=options)
    return apart([one["estimate"] for one in found["coefficients"]], fitted.params_)


def apart(found: Any, expected: Any) -> float:
    """Return the largest difference, relative to what is expected."""
    one, other = np.asarray(found, dtype=float), np.asarray(expected, dtype=float)
    return float(np.max(np.abs(one - other) / np.maximum(np.abs(other), np.finfo(float).tiny), initial=0.0))
