"""Counts, sums, means and variances equal those of the pooled rows."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from secagg.stats import Category, Count, Mean, Number, Query, Sum, Variance

AREA = Number(100, 2600, 1)
DIAGNOSIS = Category(("benign", "malignant"))
EXACT = 1e-12


@pytest.fixture(scope="module")
def found(ask, tumours):
    statistics = [kind("mean_area", by) for kind in (Sum, Mean, Variance) for by in (None, "diagnosis")]
    query = Query(
        columns={"mean_area": AREA, "diagnosis": DIAGNOSIS},
        rows=1000,
        statistics=(Count(), Count("diagnosis"), *statistics),
    )
    return ask(query, tumours)


@pytest.fixture(scope="module")
def complete(tumours):
    return tumours.dropna()


def test_counts_are_those_of_all_rows(found, tumours, complete) -> None:
    assert found[0]["counts"] == [len(complete)]
    by = complete["diagnosis"].value_counts()
    assert found[1]["counts"] == [by["benign"], by["malignant"]]
    assert found[0]["missing"] == found[1]["missing"] == len(tumours) - len(complete)


def test_all_statistics_of_a_query_are_of_the_same_rows(ask) -> None:
    """Else the sum of all ages, less those of each sex, is the age of the only one whose sex is missing."""
    table = pd.DataFrame({"age": [61.0] * 60 + [83.0], "sex": ["f", "m"] * 30 + [None]})
    query = Query(
        columns={"age": Number(0, 120, 0), "sex": Category(("f", "m"))},
        rows=100,
        statistics=(Count(), Sum("age"), Sum("age", "sex")),
    )
    count, whole, by_sex = ask(query, table)
    assert count["counts"] == [60]
    assert whole["rows"][0]["sum"] == sum(row["sum"] for row in by_sex["rows"]) == 60 * 61


def test_sums_means_and_variances_are_those_of_all_rows(found, complete) -> None:
    groups = [group for _, group in complete.groupby("diagnosis")["mean_area"]]
    for place, values in ((0, [complete["mean_area"]]), (1, groups)):
        sums, means, variances = (found[2 + place + 2 * kind]["rows"] for kind in range(3))
        for row, mean, variance, pooled in zip(sums, means, variances, values, strict=True):
            assert row["n"] == mean["n"] == len(pooled)
            assert row["sum"] == pytest.approx(pooled.sum(), rel=EXACT)
            assert mean["mean"] == pytest.approx(pooled.mean(), rel=EXACT)
            assert mean["standard_error"] == pytest.approx(pooled.sem(), rel=EXACT)
            low, high = stats.t.interval(0.95, len(pooled) - 1, pooled.mean(), pooled.sem())
            assert (mean["low"], mean["high"]) == pytest.approx((low, high), rel=EXACT)
            assert variance["variance"] == pytest.approx(pooled.var(), rel=EXACT)
            assert variance["deviation"] == pytest.approx(pooled.std(), rel=EXACT)


def test_values_of_a_group_with_too_few_rows_are_never_summed(ask) -> None:
    table = pd.DataFrame({"x": np.arange(30.0), "g": ["a"] * 26 + ["b"] * 4})
    query = Query(
        columns={"x": Number(0, 100, 0), "g": Category(("a", "b"))}, rows=30, statistics=(Mean("x", "g"),)
    )  # fmt: skip
    (mean,) = ask(query, table)
    assert mean["rows"][1] == {
        "group": "b", "n": None, "mean": None, "standard_error": None, "low": None, "high": None, "deviation": None,
    }  # fmt: skip
