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


def test_counts_are_those_of_all_rows(found, tumours) -> None:
    assert found[0]["counts"] == [len(tumours)]
    by = tumours["diagnosis"].value_counts()
    assert found[1]["counts"] == [by["benign"], by["malignant"]]
    assert found[1]["missing"] == tumours["diagnosis"].isna().sum()


def test_sums_means_and_variances_are_those_of_all_rows(found, tumours) -> None:
    whole = tumours["mean_area"].dropna()
    groups = [group for _, group in tumours.dropna().groupby("diagnosis")["mean_area"]]
    for place, values in ((0, [whole]), (1, groups)):
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
