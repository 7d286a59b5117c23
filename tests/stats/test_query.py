"""A query is data with one encoding, and its steps are bounded whatever a site's rows hold."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secagg.stats import (
    Category,
    Compare,
    Count,
    Covariance,
    Crosstab,
    Histogram,
    Mean,
    Number,
    Progress,
    Quantile,
    Query,
    Rows,
    Sum,
    Variance,
)
from secagg_protocols import InputError, ParameterError, ProtocolViolation, SecAggError, WireError

COLUMNS = {"x": Number(-10, 30, 1), "y": Number(0, 5), "g": Category(("a", "b")), "h": Category(("0", "1", "2"))}
EVERY = (
    Count(),
    Count("g"),
    Sum("x"),
    Mean("x", "g"),
    Variance("y"),
    Covariance(("x", "y")),
    Histogram("x", 8),
    Quantile("y"),
    Crosstab("g", "h"),
    Compare("y", "g"),
)


def query_of(*statistics, **said):
    read = {name for statistic in statistics for name in statistic.reads()}
    columns = {name: column for name, column in COLUMNS.items() if name in read}
    return Query(columns=columns, statistics=statistics, **({"rows": 50, "minimum_cell": 3} | said))


def test_a_query_has_one_encoding() -> None:
    query = query_of(*EVERY, expires="2027-01-31T12:00:00+00:00")
    assert Query.from_json(query.to_json()) == query
    spaced = json.dumps(json.loads(query.to_json()), indent=2)
    assert Query.from_json(spaced).digest == query.digest
    other_order = Query(columns=dict(reversed(query.columns.items())), statistics=EVERY, rows=50, minimum_cell=3)
    assert other_order.digest == query_of(*EVERY).digest


def test_a_query_is_made_of_statistics_that_bring_the_bounds_of_their_columns() -> None:
    bounds = {name: COLUMNS[name] for name in ("y", "g")}
    made = Query.of([Count("g"), Mean("y", by="g").over(**bounds), Variance("y")], rows=50, minimum_cell=3)
    assert made == query_of(Count("g"), Mean("y", "g"), Variance("y"))
    assert made.digest == query_of(Count("g"), Mean("y", "g"), Variance("y")).digest
    assert Query.of([Count()]).rows == 100_000


NO_QUERY = {
    "column 'y' has no bounds in the query": [Mean("y")],
    "column 'y' is given two different ranges": [Mean("y").over(y=Number(0, 5)), Sum("y").over(y=Number(0, 6))],
    "column 'y' is asked for as numbers and as categories": [
        Mean("y").over(y=Number(0, 5)),
        Count("y").over(y=Category(("0", "1"))),
    ],
    "column 'g' is given two different lists": [
        Count("g").over(g=Category(("a", "b"))),
        Mean("y", "g").over(y=Number(0, 5), g=Category(("a",))),
    ],
    "no statistic reads column 'x'": [Mean("y").over(x=Number(0, 5), y=Number(0, 5))],
}


@pytest.mark.parametrize("said", sorted(NO_QUERY))
def test_bounds_that_do_not_make_a_query_are_refused(said) -> None:
    with pytest.raises(ParameterError, match=said):
        Query.of(NO_QUERY[said])


BROKEN = {
    "no JSON": ("{", "}"),
    "an unknown statistic": ('"statistic":"sum"', '"statistic":"eval"'),
    "an unknown field": ('"expires":""', '"expires":"","code":"1"'),
    "no finite bound": ('"high":30.0', '"high":1e999'),
    "bounds turned round": ('"high":30.0', '"high":-30.0'),
    "too many rows": ('"rows":50', '"rows":5000000000'),
    "a cell below nothing": ('"minimum_cell":3', '"minimum_cell":-3'),
    "another version": ('"version":1', '"version":2'),
    "no time": ('"expires":""', '"expires":"tomorrow"'),
    "a time without its offset": ('"expires":""', '"expires":"2027-01-31T12:00:00"'),
    "a column that nobody reads": ('"columns":{', '"columns":{"z":{"column":"number","low":0,"high":1},'),
    "a column without bounds": ('"column":"x","statistic":"sum"', '"column":"z","statistic":"sum"'),
    "bins without end": ('"bins":8', '"bins":100000'),
    "a quantile beyond": ("[0.25,", "[-0.25,"),
    "one column twice": ('["x","y"]', '["x","x"]'),
    "a statistic twice": ('"statistics":[', '"statistics":[{"by":null,"statistic":"count"},'),
}  # fmt: skip


@pytest.mark.parametrize("broken", sorted(BROKEN))
def test_what_is_no_query_is_refused_in_one_line(broken: str) -> None:
    good, bad = BROKEN[broken]
    text = query_of(*EVERY).to_json().decode()
    assert good in text
    with pytest.raises((InputError, ParameterError)) as refused:
        Query.from_json(text.replace(good, bad, 1))
    assert "\n" not in str(refused.value)


def test_a_query_that_is_too_long_is_not_parsed() -> None:
    with pytest.raises(InputError, match="at most 32768 are read"):
        Query.from_json(b" " * 40000 + query_of(Count()).to_json())


@given(
    low=st.floats(-1e6, 1e6),
    width=st.floats(1e-3, 1e9),
    rows=st.integers(1, 10**6),
)
@settings(max_examples=60, deadline=None)
def test_decimals_are_chosen_so_that_sums_of_squares_fit_a_thousand_sites(low, width, rows) -> None:
    query = Query(columns={"x": Number(low, low + width)}, rows=rows, statistics=(Variance("x"),))
    everything = Progress.begin(query)
    (state,) = everything.states
    (spans,) = [query.statistics[0].spans(type(state)((rows, 0), (0,), (), False), query)]
    spans.check(1000)


cells = st.one_of(st.none(), st.floats(-100, 100), st.just(float("nan")))
rows_of_a_site = st.lists(
    st.tuples(cells, cells, st.sampled_from(["a", "b", "c", None]), st.sampled_from(["0", "1", "2.0", None, "x"])),
    max_size=20,
)


@given(sites=st.lists(rows_of_a_site, min_size=3, max_size=4))
@settings(max_examples=30, deadline=None)
def test_whatever_the_rows_hold_every_vector_is_within_its_bits_and_the_query_ends(sites) -> None:
    query = query_of(*EVERY)
    tables = [
        Rows.of({name: [row[place] for row in rows] for place, name in enumerate("xygh")}, query) for rows in sites
    ]
    progress = Progress.begin(query)
    while not progress.done:
        vectors = [progress.vector(rows) for rows in tables]
        assert all(len(vector) == progress.length for vector in vectors)
        assert all(int(vector.max(initial=0)) < 1 << progress.value_bits for vector in vectors)
        total = np.sum([vector.astype(object) for vector in vectors], axis=0).astype(np.uint64)
        progress = progress.combined(total, len(sites))
    assert len([result.plain() for result in progress.results]) == len(EVERY)
    assert progress.results[0].plain()["counts"][0] in (None, sum(int(rows.whole.sum()) for rows in tables))


def test_sites_are_not_told_what_is_done_and_the_aggregator_keeps_it() -> None:
    query = query_of(Count("g"), Mean("x", "g"))
    rows = Rows.of({"x": np.arange(10), "g": ["a", "b"] * 5}, query)
    progress = Progress.begin(query)
    progress = progress.combined(3 * progress.vector(rows), 3)
    told = Progress.from_bytes(progress.asked())
    assert told.states[0] is None
    assert told.states[1] == progress.states[1]
    assert Progress.from_bytes(progress.to_bytes()) == progress


def test_a_sum_that_no_sites_can_have_given_is_not_used() -> None:
    progress = Progress.begin(query_of(Count()))
    with pytest.raises(ProtocolViolation, match="not used"):
        progress.combined(np.array([151, 0], dtype=np.uint64), 3)


def progress_of(statistic, *fields):
    begun = Progress.begin(query_of(statistic))
    state = type(begun.states[0])(*fields)
    return Progress(begun.query, (state,), 1, (3,))


HOSTILE = {
    "nothing that is not known": progress_of(Count(), (4, 0)),
    "counts beyond all numbers": progress_of(Mean("x", "g"), (2**64 - 1, 4, 0), (0, 1), (), False),
    "values of a group with too few rows": progress_of(Mean("x", "g"), (4, 2, 0), (0, 1), (), False),
    "values before any counts": progress_of(Mean("x", "g"), (), (0, 1), (), False),
    "values of no group": progress_of(Mean("x", "g"), (4, 4, 0), (0, 7), (), False),
    "counts below nothing": progress_of(Mean("x", "g"), (4, -4, 0), (0,), (), False),
    "counts of other cells": progress_of(Covariance(("x", "y")), (4, 4, 4), (0, 1), (), False),
    "a bin of no tree": progress_of(Quantile("y", (0.5,)), ((1, 16),), (None,), 9, 0),
    "a bin finer than stated": progress_of(Quantile("y", (0.5,)), ((2, 3),), (None,), 9, 0),
    "more quantiles than asked": progress_of(Quantile("y", (0.5,)), ((0, 0), (0, 0)), (None,), 9, 0),
}  # fmt: skip


@pytest.mark.parametrize("hostile", sorted(HOSTILE))
def test_a_site_does_not_answer_a_state_that_asks_for_more_than_the_statistic(hostile: str) -> None:
    with pytest.raises(ProtocolViolation, match="not answered"):
        Progress.from_bytes(HOSTILE[hostile].to_bytes()).check_states()


def test_a_query_in_another_spelling_is_not_answered() -> None:
    data = Progress.begin(query_of(Count())).asked()
    turned = data.replace(b'"minimum_cell":3,"rows":50', b'"rows":50,"minimum_cell":3')
    assert turned != data
    with pytest.raises(WireError, match="canonical"):
        Progress.from_bytes(turned)


@given(data=st.binary(max_size=60), at=st.integers(0, 400))
@settings(max_examples=60, deadline=None)
def test_bytes_that_are_no_progress_are_refused_as_such(data: bytes, at: int) -> None:
    whole = Progress.begin(query_of(*EVERY)).asked()
    try:
        Progress.from_bytes(whole[:at] + data + whole[at + len(data) :])
    except SecAggError as refused:
        assert isinstance(refused, WireError | InputError | ParameterError)
