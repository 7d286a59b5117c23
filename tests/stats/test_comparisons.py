"""Covariances, correlations, t-tests and analyses of variance equal those of the pooled rows."""

import numpy as np
import pytest
from scipy import stats

from secagg.stats import Category, Compare, Covariance, Number, Query

EXACT = 1e-12
MEASURED = {
    "mean_radius": Number(5, 30, 3),
    "mean_texture": Number(5, 40, 2),
    "mean_area": Number(100, 2600, 1),
}


def test_covariances_and_correlations_are_those_of_all_rows(ask, tumours) -> None:
    query = Query(columns=MEASURED, rows=1000, statistics=(Covariance(tuple(MEASURED)),))
    (found,) = ask(query, tumours)
    pooled = tumours[list(MEASURED)].dropna()
    assert found["n"] == len(pooled)
    assert found["mean"] == pytest.approx(pooled.mean().tolist(), rel=EXACT)
    assert np.array(found["covariance"]) == pytest.approx(pooled.cov().to_numpy(), rel=EXACT)
    assert np.array(found["correlation"]) == pytest.approx(pooled.corr().to_numpy(), rel=EXACT)
    tested = stats.pearsonr(pooled["mean_radius"], pooled["mean_texture"])
    assert found["p"][0][1] == pytest.approx(tested.pvalue, rel=1e-9)


def compared(ask, table, by, groups):
    query = Query(
        columns={"mean_texture": MEASURED["mean_texture"], by: Category(groups)},
        rows=1000,
        statistics=(Compare("mean_texture", by),),
    )
    return ask(query, table)[0]


def test_two_groups_are_compared_as_scipy_compares_all_rows(ask, tumours) -> None:
    found = compared(ask, tumours, "diagnosis", ("benign", "malignant"))
    groups = [rows["mean_texture"] for _, rows in tumours.groupby("diagnosis")]
    for ours, equal in zip(found["t_tests"], (True, False), strict=True):
        pooled = stats.ttest_ind(*groups, equal_var=equal)
        assert (ours["t"], ours["freedom"]) == pytest.approx((pooled.statistic, pooled.df), rel=EXACT)
        assert ours["p"] == pytest.approx(pooled.pvalue, rel=1e-9)
        interval = pooled.confidence_interval()
        assert (ours["low"], ours["high"]) == pytest.approx((interval.low, interval.high), rel=EXACT)


def test_three_groups_are_compared_as_scipy_compares_all_rows(ask, tumours) -> None:
    table = tumours.assign(size=tumours["mean_radius"].map(lambda radius: "abc"[int(radius > 11) + int(radius > 15)]))
    found = compared(ask, table, "size", ("a", "b", "c"))
    pooled = stats.f_oneway(*[rows["mean_texture"] for _, rows in table.groupby("size")])
    assert found["anova"]["f"] == pytest.approx(pooled.statistic, rel=EXACT)
    assert found["anova"]["p"] == pytest.approx(pooled.pvalue, rel=1e-9)
    assert found["t_tests"] == []
