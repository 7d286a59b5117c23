"""Kaplan–Meier curves, the log-rank test and Cox's model equal those of the pooled rows by other packages."""

import numpy as np
import pandas as pd
import pytest

from secagg.stats import Category, Cox, FollowUp, KaplanMeier, Number, Progress, Query, Rows
from secagg.stats.kinds.joining import join
from secagg.stats.kinds.life_table import LifeTable
from secagg.stats.kinds.newton import FINEST
from secagg.stats.kinds.partial_likelihood import Intervals
from secagg_protocols import InputError, ParameterError, ProtocolViolation

from .conftest import SITES

lifelines = pytest.importorskip("lifelines")
EXACT = 1e-12
CLOSE = 1e-6
HORIZON = 1022
FOLLOW = FollowUp("time", "status", HORIZON)
EITHER = Category(("0", "1"))
TERMS = (("age",), ("sex",), ("age", "sex"))
COLUMNS = {
    "time": FollowUp.column(HORIZON, 1, 0),
    "status": EITHER,
    "sex": Category(("1", "2")),
    "age": Number(0, 120, 0),
}


@pytest.fixture(scope="module")
def lung():
    from lifelines.datasets import load_lung

    rows = load_lung().dropna(subset=["inst"]).sort_values("inst")
    return rows.assign(status=rows["status"].map("{:g}".format), sex=rows["sex"].map("{:g}".format))


def query_of(*statistics, minimum_cell=0):
    read = {name for statistic in statistics for name in statistic.reads()}
    columns = {name: column for name, column in COLUMNS.items() if name in read}
    return Query(columns=columns, rows=300, minimum_cell=minimum_cell, statistics=statistics)


@pytest.fixture(scope="module")
def exact(ask, lung):
    models = [Cox(FOLLOW, TERMS, ties) for ties in ("efron", "breslow")]
    return ask(query_of(KaplanMeier(FOLLOW, "sex"), KaplanMeier(FOLLOW), *models), lung)


def test_curves_with_their_intervals_are_those_of_all_rows(exact, lung) -> None:
    groups = [lung[lung["sex"] == sex] for sex in ("1", "2")]
    for curve, rows in zip([*exact[0]["curves"], *exact[1]["curves"]], [*groups, lung], strict=True):
        fitted = lifelines.KaplanMeierFitter().fit(rows["time"], rows["status"].astype(int))
        happened = fitted.event_table[fitted.event_table["observed"] > 0]
        assert curve["times"] == happened.index.tolist()
        assert curve["events"] == happened["observed"].tolist()
        assert curve["at_risk"] == happened["at_risk"].tolist()
        assert curve["survival"] == pytest.approx(fitted.survival_function_["KM_estimate"][happened.index], rel=EXACT)
        low, high = fitted.confidence_interval_.loc[happened.index].to_numpy().T
        inside = np.array(curve["survival"]) > 0
        assert np.array(curve["low"])[inside] == pytest.approx(low[inside], rel=EXACT)
        assert np.array(curve["high"])[inside] == pytest.approx(high[inside], rel=EXACT)
        assert curve["median"] == fitted.median_survival_time_
        assert (curve["n"], curve["events_in_all"]) == (len(rows), (rows["status"] == "1").sum())


def test_the_log_rank_test_is_that_of_all_rows(exact, lung) -> None:
    from lifelines.statistics import multivariate_logrank_test

    expected = multivariate_logrank_test(lung["time"], lung["sex"], lung["status"].astype(int))
    found = exact[0]["log_rank"]
    assert found["chi2"] == pytest.approx(expected.test_statistic, rel=EXACT)
    assert found["p"] == pytest.approx(expected.p_value, rel=1e-9)
    assert sum(found["expected"]) == pytest.approx(sum(found["observed"]), rel=EXACT)


def test_hazard_ratios_are_those_of_all_rows_with_either_way_to_take_ties(exact, lung) -> None:
    phreg = pytest.importorskip("statsmodels.duration.hazard_regression").PHReg
    female = (lung["sex"] == "2").astype(float)
    covariates = np.stack([lung["age"], female, lung["age"] * female], axis=1)
    for found in exact[2:]:
        fitted = phreg(lung["time"], covariates, status=lung["status"].astype(int), ties=found["ties"]).fit()
        shown = found["coefficients"]
        assert [one["name"] for one in shown] == ["age", "sex=2", "age:sex=2"]
        assert [one["estimate"] for one in shown] == pytest.approx(fitted.params, rel=CLOSE)
        assert [one["standard_error"] for one in shown] == pytest.approx(fitted.bse, rel=CLOSE)
        assert found["log_likelihood"] == pytest.approx(fitted.llf, rel=CLOSE)
        assert found["references"] == ["sex=1"]


def joined(times, event, events, censored, least):
    """Return the times as a model sees them whose intervals hold at least so many rows."""
    intervals = Intervals.of(events, censored, least)
    return intervals, intervals.place(times, ~event)


def test_a_model_whose_event_times_are_joined_is_that_of_the_joined_times(ask, lung) -> None:
    phreg = pytest.importorskip("statsmodels.duration.hazard_regression").PHReg
    times = lung["time"].to_numpy(dtype=np.int64)
    event = (lung["status"] == "1").to_numpy()
    counts = [np.bincount(times[kind], minlength=HORIZON + 1) for kind in (event, ~event)]
    intervals, place = joined(times, event, *counts, 5)
    (found,) = ask(query_of(Cox(FOLLOW, (("age",), ("sex",))), minimum_cell=5), lung)
    covariates = np.stack([lung["age"], lung["sex"] == "2"], axis=1).astype(float)
    fitted = phreg(place + 1.0, covariates, status=event.astype(int), ties="efron").fit()
    assert found["intervals"] == len(intervals.starts)
    assert [one["estimate"] for one in found["coefficients"]] == pytest.approx(fitted.params, rel=CLOSE)


@pytest.mark.parametrize("least", [1, 3, 5, 20])
def test_no_interval_has_fewer_events_or_censored_rows_than_the_least_cell(least) -> None:
    randomness = np.random.default_rng(least)
    for _ in range(50):
        events, censored = (randomness.poisson(randomness.uniform(0.02, 2), 60) for _ in range(2))
        if events.sum() < least or 0 < censored.sum() < least:
            continue
        intervals = Intervals.of(events, censored, least)
        times = np.repeat(np.tile(np.arange(60), 2), np.concatenate([events, censored]))
        was_censored = np.repeat([False, True], [events.sum(), censored.sum()])
        place = intervals.place(times, was_censored)
        assert (np.bincount(place[~was_censored], minlength=len(intervals.starts)) >= least).all()
        left = np.bincount(place[was_censored & (place >= 0)], minlength=1)
        assert all(count == 0 or count >= least for count in left)
        if least == 1:
            assert intervals.starts == tuple(np.flatnonzero(events))
        assert least == 1 or intervals.starts[0] == 0  # few may be censored before the first event


def test_curves_and_their_test_are_those_of_the_joined_times(ask, lung) -> None:
    from lifelines.statistics import multivariate_logrank_test

    (found,) = ask(query_of(KaplanMeier(FOLLOW, "sex"), minimum_cell=5), lung)
    times, seen = found["curves"][0]["times"], []
    for curve in found["curves"]:
        assert curve["times"] == times
        assert min(curve["events"]) >= 5
        gone = np.array(curve["at_risk"][:-1]) - curve["events"][:-1] - curve["at_risk"][1:]
        assert all(count == 0 or count >= 5 for count in gone)
        last = curve["at_risk"][-1] - curve["events"][-1]  # with those of whom the curve does not tell any more
        assert last >= 5
        rows = pd.DataFrame(
            {
                "time": np.repeat([*times, *times], [*curve["events"], *gone, last]),
                "event": np.repeat([1, 0], [sum(curve["events"]), sum(gone) + last]),
                "group": curve["group"],
            }
        )
        fitted = lifelines.KaplanMeierFitter().fit(rows["time"], rows["event"])
        assert curve["n"] == len(rows) == (lung["sex"] == curve["group"]).sum()
        assert curve["survival"] == pytest.approx(fitted.survival_function_at_times(times).tolist(), rel=EXACT)
        assert curve["low"] == pytest.approx(fitted.confidence_interval_.loc[times].iloc[:, 0].tolist(), rel=EXACT)
        assert curve["median"] == fitted.median_survival_time_
        assert 5 < len(times) < (lung["status"] == "1").sum() / 5
        seen.append(rows)
    pooled = pd.concat(seen)
    expected = multivariate_logrank_test(pooled["time"], pooled["group"], pooled["event"])
    assert found["log_rank"]["chi2"] == pytest.approx(expected.test_statistic, rel=EXACT)


@pytest.mark.parametrize("least", [2, 4, 10])
def test_all_that_is_computed_of_joined_times_is_of_the_least_cell(least) -> None:
    randomness = np.random.default_rng(least)
    for _ in range(100):
        counts = randomness.poisson(randomness.uniform(0.02, 2, (2, 2, 1)), (2, 2, 40))
        groups = [LifeTable(*group) for group in counts]
        if min(group.events.sum() for group in groups) < least:
            continue
        joined = join(groups, least, ended=False)
        for group, table in zip(groups, joined.tables, strict=True):
            assert table.leaving.sum() == group.leaving.sum()
            assert (table.events[: -1 if joined.ended else None] >= least).all()
            assert all(count == 0 or count >= least for count in table.censored)
            assert not joined.ended or (table.events[-1], table.censored[-1] >= least) == (0, True)
    table = LifeTable(*counts[0])
    (alone,) = join([table], 1, ended=True).tables
    assert alone is table


def test_who_is_followed_beyond_the_horizon_is_censored_there(ask, lung) -> None:
    short = FollowUp("time", "status", 300.0, 30.0)
    columns = {**COLUMNS, "time": FollowUp.column(300, 30, 0)}
    del columns["age"], columns["sex"]
    query = Query(columns=columns, rows=300, minimum_cell=0, statistics=(KaplanMeier(short),))
    (found,) = ask(query, lung)
    months = np.ceil(lung["time"] / 30)
    fitted = lifelines.KaplanMeierFitter().fit(
        months.clip(upper=10) * 30, (lung["status"] == "1") & (months <= 10)
    )  # fmt: skip
    (curve,) = found["curves"]
    assert curve["survival"] == pytest.approx(fitted.survival_function_at_times(curve["times"]).tolist(), rel=EXACT)
    assert max(curve["times"]) == 300


def test_a_group_with_too_few_rows_has_no_curve(ask) -> None:
    table = pd.DataFrame({"time": np.arange(40.0), "status": ["1"] * 40, "sex": ["1"] * 18 + ["2"] * 18 + ["3"] * 4})
    columns = {**COLUMNS, "sex": Category(("1", "2", "3"))}
    del columns["age"]
    query = Query(columns=columns, rows=40, statistics=(KaplanMeier(FOLLOW, "sex"),))
    (found,) = ask(query, table)
    shown = {curve["group"] for curve in found["curves"]}
    assert "3" not in shown
    assert shown | set(found["hidden"]) == {"1", "2", "3"}


def test_events_and_times_that_are_none_are_refused_at_the_site() -> None:
    query = query_of(KaplanMeier(FOLLOW))
    begun = Progress.begin(query)
    for bad, why in (
        ({"time": [1.0, -2.0], "status": ["0", "1"]}, "negative"),
        ({"time": [1.0, 2.0], "status": ["1", "2"]}, "does not list"),
    ):
        with pytest.raises(InputError, match=why):
            begun.vector(Rows.of(pd.DataFrame(bad), query))


def test_a_grid_that_cannot_be_is_refused() -> None:
    with pytest.raises(ParameterError, match="unit"):
        FollowUp("time", "status", 10, 0)
    with pytest.raises(ParameterError, match="larger unit"):
        FollowUp("time", "status", 10**6, 1)
    with pytest.raises(ParameterError, match="later ones are censored"):
        Query(
            columns={"time": Number(0, HORIZON, 0), "status": EITHER}, rows=9, statistics=(KaplanMeier(FOLLOW),)
        )  # fmt: skip


def stepped(lung, statistic):
    """Return a query of a statistic, and its state after the first sum."""
    query = query_of(statistic)
    begun = Progress.begin(query)
    vector = begun.vector(Rows.of(lung, query))
    return query, begun.combined(vector, 1).states[0]


def test_states_that_no_sums_lead_to_are_not_answered(lung) -> None:
    import msgspec

    statistic = Cox(FOLLOW, (("age",), ("sex",)))
    query, state = stepped(lung, statistic)
    statistic.check_state(state, query)
    search = msgspec.structs.replace(state.search, evaluations=1, at=(1.0, 1.0))
    hostile = {
        "grid": {"starts": (5, 5)},
        "leaves in": {"leaves": (900,) * len(state.starts)},
        "means": {"centre": (7.0, 0.0)},
        "scales": {"exponent": state.exponent + 9},
        "finite": {"search": msgspec.structs.replace(search, at=(float("nan"), 0.0))},
        "predictors": {"search": msgspec.structs.replace(search, at=(1e3, 0.0))},
        "begin at 0": {"search": msgspec.structs.replace(search, evaluations=0)},
        "evaluations": {"search": msgspec.structs.replace(search, evaluations=30)},
    }
    for why, changed in hostile.items():
        with pytest.raises(ProtocolViolation, match=why):
            statistic.check_state(msgspec.structs.replace(state, **changed), query)


def test_no_weight_is_further_from_the_average_one_than_stated(lung) -> None:
    import msgspec

    statistic = Cox(FOLLOW, (("age",),))
    query, state = stepped(lung, statistic)
    far = msgspec.structs.replace(state.search, evaluations=1, at=(100.0,))
    progress = Progress.begin(query)
    state = msgspec.structs.replace(state, search=far, exponent=state.exponent - 18)
    with pytest.raises(ProtocolViolation, match="scales"):
        statistic.check_state(msgspec.structs.replace(state, exponent=state.exponent + 9), query)
    statistic.check_state(state, query)
    rows = Rows.of(lung, progress.query)
    integers = statistic.local(rows, state, query)
    assert statistic.spans(state, query).holds(integers)
    assert integers[1] > 0  # rows whose hazards were beyond
    assert np.abs(integers).max() < 1 << 52  # and no sum had to be cut


def test_a_covariate_that_separates_events_is_named(ask) -> None:
    table = pd.DataFrame(
        {"time": np.arange(1.0, 61), "status": ["1"] * 30 + ["0"] * 30, "age": [80.0] * 30 + [20.0] * 30}
    )
    columns = {name: column for name, column in COLUMNS.items() if name != "sex"}
    query = Query(columns=columns, rows=60, minimum_cell=0, statistics=(Cox(FOLLOW, (("age",),)),))
    with pytest.raises(InputError, match="'age' grows without end"):
        ask(query, table)


def test_few_rows_have_an_estimate_in_sums_with_room_for_many(ask) -> None:
    few = pd.DataFrame(
        {
            "time": [25, 28, 40, 25, 17, 21, 39, 29, 23, 48],
            "status": [0, 1, 0, 1, 0, 1, 0, 1, 0, 0],
            "age": [63, 39, 84, 20, 78, 65, 37, 70, 48, 78],
            "x": [-1.173, 0.638, 1.317, 0.493, 0.161, -0.932, 2.872, 0.88, -1.139, -0.78],
        }
    )
    follow = FollowUp("time", "status", 48.0)
    columns = {
        "time": FollowUp.column(48, 1, 3),
        "status": Category(("0", "1")),
        "age": Number(20, 84, 3),
        "x": Number(-1.2, 2.9, 4),
    }
    of_few, of_many = (
        ask(
            Query(columns=columns, rows=rows, minimum_cell=0, statistics=(Cox(follow, (("age",), ("x",))),)),
            few,
        )[0]
        for rows in (10, 100_000)
    )
    for one, other in zip(of_few["coefficients"], of_many["coefficients"], strict=True):
        assert abs(one["estimate"] - other["estimate"]) < SITES * FINEST * one["standard_error"]
