"""Histograms, crosstabs and quantiles equal those of the pooled rows."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from secagg.stats import Category, Crosstab, Histogram, Number, Progress, Quantile, Query

EXACT = 1e-12
AREA = Number(100, 2600, 1)
DIAGNOSIS = Category(("benign", "malignant"))


def test_a_histogram_is_that_of_all_rows(ask, tumours) -> None:
    query = Query(
        columns={"mean_area": AREA}, rows=1000, minimum_cell=0, statistics=(Histogram("mean_area", 50),)
    )  # fmt: skip
    (found,) = ask(query, tumours)
    counts, edges = np.histogram(tumours["mean_area"].dropna(), bins=50, range=(100, 2600))
    assert found["counts"] == counts.tolist()
    assert found["edges"] == pytest.approx(edges.tolist(), rel=EXACT)
    assert found["missing"] == tumours["mean_area"].isna().sum()


def test_a_value_on_an_edge_is_in_the_upper_bin_though_floats_are_not_exact(ask) -> None:
    table = pd.DataFrame({"x": np.arange(50) / 10})
    query = Query(columns={"x": Number(0, 4.9, 1)}, rows=10, minimum_cell=0, statistics=(Histogram("x", 49),))
    (found,) = ask(query, table)
    assert found["edges"] == table["x"].tolist()
    assert found["counts"] == [1] * 48 + [2]


@pytest.fixture
def crossed(ask, tumours):
    query = Query(
        columns={"diagnosis": DIAGNOSIS, "large": Category(("no", "yes"))},
        rows=1000,
        statistics=(Crosstab("diagnosis", "large"),),
    )
    return ask(query, tumours)[0]


def test_a_crosstab_and_its_test_are_those_of_all_rows(crossed, tumours) -> None:
    table = pd.crosstab(tumours["diagnosis"], tumours["large"])
    assert crossed["counts"] == table.to_numpy().tolist()
    assert crossed["rows"] == table.sum(axis=1).tolist()
    assert crossed["total"] == table.to_numpy().sum()
    tested = crossed["chi_square"]
    for name, corrected in (("", False), ("corrected", True)):
        pooled = stats.chi2_contingency(table, correction=corrected)
        statistic, p = (tested[name], tested[f"{name}_p"]) if name else (tested["statistic"], tested["p"])
        assert (statistic, p) == pytest.approx((pooled.statistic, pooled.pvalue), rel=EXACT)
        assert np.array(tested["expected"]) == pytest.approx(pooled.expected_freq, rel=EXACT)


def test_a_test_is_not_given_where_it_would_tell_of_hidden_cells(ask) -> None:
    table = pd.DataFrame({"a": ["x"] * 40 + ["y"] * 40, "b": ["u"] * 38 + ["v"] * 22 + ["u"] * 20})
    query = Query(
        columns={"a": Category(("x", "y")), "b": Category(("u", "v"))}, rows=80, statistics=(Crosstab("a", "b"),)
    )  # fmt: skip
    (found,) = ask(query, table)
    assert found["chi_square"] is None
    assert None in found["counts"][0]


@pytest.mark.parametrize("within", [None, 50.0, 0.1])
def test_the_quantile_of_all_rows_is_in_the_stated_bin(ask, tumours, within) -> None:
    wanted = (0.01, 0.25, 0.5, 0.9)
    query = Query(
        columns={"mean_area": AREA},
        rows=1000,
        minimum_cell=0,
        statistics=(Quantile("mean_area", wanted, within),),
    )
    (found,) = ask(query, tumours)
    assert found["within"] <= (within or 2500 / 256)
    pooled = np.quantile(tumours["mean_area"].dropna(), wanted, method="inverted_cdf")
    for row, exact in zip(found["quantiles"], pooled, strict=True):
        assert row["low"] - 0.05 <= exact <= row["high"] + 0.05
        assert row["high"] - row["low"] <= found["within"]


def test_a_site_that_counts_rows_outside_the_range_does_not_keep_the_others_asking() -> None:
    query = Query(columns={"x": Number(0, 100, 0)}, rows=10, minimum_cell=0, statistics=(Quantile("x", (0.5,)),))
    progress = Progress.begin(query)
    lie = np.zeros(progress.length, dtype=np.uint64)
    lie[-1] = 10
    progress = progress.combined(3 * lie, 3)
    assert progress.done
    assert progress.results[0].plain()["quantiles"] == [{"probability": 0.5, "low": 0, "high": 100}]


def test_a_quantile_is_not_looked_for_among_fewer_rows_than_the_least_cell(ask) -> None:
    table = pd.DataFrame({"x": [3.0] * 3 + [10.0] * 3 + [20.0] * 20})
    query = Query(columns={"x": Number(0, 100, 2)}, rows=30, statistics=(Quantile("x", (0.05, 0.19, 0.5)),))
    (found,) = ask(query, table)
    lowest, first, median = found["quantiles"]
    assert (lowest["low"], lowest["high"]) == (None, None)
    assert (first["low"], first["high"]) == (0.0, 100.0)
    assert median["low"] <= 20 <= median["high"] < 21
