"""Statistics of two sums over five owners' tables: the results are those of the pooled rows."""

import time

import numpy as np
import pandas as pd
import pytest

from secagg.stats import (
    Category,
    Compare,
    Count,
    Covariance,
    Crosstab,
    Histogram,
    Mean,
    Number,
    Query,
    Sum,
    Variance,
    simulate,
)

QUERY = Query(
    columns={
        "age": Number(20, 90, 0),
        "chol": Number(0, 600, 1),
        "sex": Category(("f", "m")),
        "smoker": Category(("no", "yes")),
    },
    rows=100,
    statistics=(
        Count("sex"),
        Sum("age"),
        Mean("age", "sex"),
        Variance("chol"),
        Histogram("age", 7),
        Crosstab("sex", "smoker"),
        Covariance(("age", "chol")),
        Compare("chol", "smoker"),
    ),
)


def test_all_at_once_are_those_of_the_pooled_rows(federation):
    five = federation()
    run = five.submit(QUERY, minimum_owners=4)
    found = five.go(run)
    counted, summed, mean, variance, bins, crossed, *_ = found
    pooled = five.pooled.dropna(subset=list(QUERY.columns))
    assert counted["counts"] == pooled["sex"].value_counts()[["f", "m"]].tolist()
    assert summed["rows"][0]["sum"] == pooled["age"].sum()
    assert [row["mean"] for row in mean["rows"]] == pytest.approx(pooled.groupby("sex")["age"].mean().tolist())
    assert variance["rows"][0]["variance"] == pytest.approx(pooled["chol"].var(), rel=1e-9)
    assert bins["counts"] == np.histogram(pooled["age"], 7, (20, 90))[0].tolist()
    assert crossed["counts"] == pd.crosstab(pooled["sex"], pooled["smoker"]).to_numpy().tolist()
    assert found == [result.plain() for result in simulate(QUERY, five.tables).results]
    assert run.survivors == (5,) * len(QUERY.statistics)
    assert five.answer() == {name: {} for name in five.names}


def test_ten_owners_sum_a_hundred_thousand_values(federation):
    ten = federation(10, minimum_group=0)
    names = [f"column {number}" for number in range(25)]
    values = np.random.default_rng(1).integers(0, 4096, (10, 60, 25)).astype(float)
    ten.tables = {name: pd.DataFrame(own, columns=names) for name, own in zip(ten.names, values, strict=True)}
    ten.owners = {name: ten.owner(name) for name in ten.names}
    query = Query(
        columns=dict.fromkeys(names, Number(0, 4096, 0)),
        rows=100,
        minimum_cell=0,
        statistics=tuple(Histogram(name, 4096) for name in names),
    )
    began = time.monotonic()
    found = ten.go(ten.submit(query))
    assert time.monotonic() - began < 60
    for place, one in enumerate(found):
        assert one["counts"] == np.histogram(values[..., place], 4096, (0, 4096))[0].tolist()
