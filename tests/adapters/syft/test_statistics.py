"""Statistics over five owners' tables: the results are those of the pooled rows."""

import time

import numpy as np
import pandas as pd
import pytest

from secagg.stats import (
    Category,
    Compare,
    Count,
    Covariance,
    Cox,
    Crosstab,
    FollowUp,
    Glm,
    Histogram,
    KaplanMeier,
    Mean,
    Meta,
    Number,
    Pca,
    Quantile,
    Query,
    Sum,
    Variance,
    simulate,
)
from secagg.stats.kinds import KINDS

FOLLOWED = FollowUp("months", "died", 24)
COMPUTE = [
    Count("sex").over(sex=Category(("f", "m"))),
    Sum("age").over(age=Number(20, 90, 0)),
    Mean("age", "sex"),
    Variance("chol").over(chol=Number(0, 600, 1)),
    Histogram("age", 7),
    Crosstab("sex", "smoker").over(smoker=Category(("no", "yes"))),
    Quantile("age", (0.5,)),
    Covariance(("age", "chol")),
    Pca(("age", "chol")),
    Compare("chol", "smoker"),
    Meta("difference", "chol", "smoker"),
    KaplanMeier(FOLLOWED).over(months=Number(-1, 30, 0), died=Category(("no", "yes"))),
    Cox(FOLLOWED, (("age",),)),
    Glm("chol", (("age",), ("smoker",)), "linear"),
]


def test_all_kinds_at_once_are_those_of_the_pooled_rows(federation):
    five = federation()
    query = Query.of(COMPUTE, rows=100)
    assert {type(one) for one in query.statistics} == set(KINDS)
    run = five.submit(query, minimum_owners=4)
    found = five.go(run)
    counted, summed, mean, variance, bins, crossed, median, *_, fitted = found
    pooled = five.pooled.dropna(subset=list(query.columns))
    assert counted["counts"] == pooled["sex"].value_counts()[["f", "m"]].tolist()
    assert summed["rows"][0]["sum"] == pooled["age"].sum()
    assert [row["mean"] for row in mean["rows"]] == pytest.approx(pooled.groupby("sex")["age"].mean().tolist())
    assert variance["rows"][0]["variance"] == pytest.approx(pooled["chol"].var(), rel=1e-9)
    assert bins["counts"] == np.histogram(pooled["age"], 7, (20, 90))[0].tolist()
    assert crossed["counts"] == pd.crosstab(pooled["sex"], pooled["smoker"]).to_numpy().tolist()
    (bracket,) = median["quantiles"]
    assert bracket["low"] <= np.quantile(pooled["age"], 0.5, method="inverted_cdf") <= bracket["high"]
    x = np.stack([np.ones(len(pooled)), pooled["age"], pooled["smoker"] == "yes"], axis=1).astype(float)
    expected = np.linalg.lstsq(x, pooled["chol"], rcond=None)[0]
    assert [row["estimate"] for row in fitted["coefficients"]] == pytest.approx(expected, rel=1e-6)
    assert found == [result.plain() for result in simulate(query, five.tables).results]
    assert run.survivors == (5,) * len(COMPUTE)
    assert five.answer() == {name: {} for name in five.names}


def test_one_client_reaches_all_owners(federation):
    three = federation(3, one_client=True)
    assert len(set(map(id, three.ds.values()))) == 1
    (counted,) = three.go(three.submit(COMPUTE[:1]))
    assert counted["counts"] == three.pooled["sex"].value_counts()[["f", "m"]].tolist()


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
