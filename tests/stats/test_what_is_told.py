"""What a query tells beside its sums: by a refusal, by what is published together, by sums that no rows have."""

import json
from dataclasses import replace

import msgspec
import numpy as np
import pytest

from secagg.round import Answers, Request
from secagg.stats import (
    Category,
    Count,
    Covariance,
    Cox,
    FollowUp,
    Glm,
    KaplanMeier,
    Mean,
    Meta,
    Number,
    Progress,
    Quantile,
    Query,
    Rows,
)
from secagg.stats.terms import QueryTerms, read_terms
from secagg.stats.words import in_words
from secagg_protocols import InputError, ParameterError, ProtocolViolation

from .hospitals import COUNTED, Hospitals
from .test_hostile_coordinators import proposed

FOLLOWED = FollowUp("time", "died", 20)
COLUMNS = {
    "time": FollowUp.column(20, 1, 0),
    "died": Category(("0", "1")),
    "x": Number(0, 10, 2),
    "y": Number(0, 10, 2),
}


def asked(*statistics, rows=100, minimum_cell=0, **columns):
    known = COLUMNS | columns
    read = {name: known[name] for statistic in statistics for name in statistic.reads()}
    return Query(columns=read, rows=rows, minimum_cell=minimum_cell, statistics=statistics)


def run(query, tables, dropouts=0, after=0, lie=lambda vector: vector):
    """Plain sums. after: so many, as many of the last sites drop out as dropouts says. lie: of the first site."""
    sites = [Rows.of(table, query) for table in tables]
    progress = Progress.begin(query)
    while not progress.done:
        progress.check_states()
        there = sites[: len(sites) - dropouts] if progress.step >= after else sites
        first, *others = (progress.vector(rows) for rows in there)
        progress = progress.combined(sum(others, lie(first)), len(there))
    return [result.plain() for result in progress.results]


def patients(seed):
    rng = np.random.default_rng(seed)
    x = rng.normal(5, 2, 60).clip(0, 10).round(2)
    died = (rng.random(60) < 1 / (1 + np.exp(5 - x))).astype(int).astype(str)
    return {"x": x, "y": (x / 2 + rng.random(60)).round(2), "died": died, "time": rng.integers(1, 20, 60)}


TABLES = [patients(seed) for seed in range(4)]


# --- by a refusal


@pytest.fixture
def hospitals(tmp_path):
    return Hospitals(tmp_path, **{"stats-queries-per-day": 2})


def first_request(parties, query=COUNTED):
    with parties.inquiry(query).open() as rnd:
        return Request.from_bytes(rnd.begin()["hospital-1"])


def refusal(site, request):
    answer = site.take(request.to_bytes())
    return Answers.from_bytes(answer, len(answer)).refusal


def test_sums_with_less_room_than_a_site_may_need_are_refused_whatever_it_has(hospitals):
    """Else a site would refuse only if its own values need the room."""
    request = first_request(hospitals)
    small = msgspec.structs.replace(request.proposal, parameters=request.proposal.parameters | {"value_bits": 6})
    said = refusal(hospitals.site("hospital-1"), replace(request, proposal=small))
    assert said == "ParameterError: value_bits=6 is proposed; this step of the query has 7"


def test_a_query_that_does_not_fit_a_sites_table_counts_as_one(hospitals):
    """Whether it fits tells of the table: here, whether a site has more than `rows` rows."""
    told = [
        refusal(
            hospitals.site("hospital-1"), first_request(hospitals, Query(columns={}, rows=rows, statistics=(Count(),)))
        )
        for rows in (38, 39, 40)
    ]
    assert [one.split(":")[0] for one in told] == ["InputError", "InputError", "Declined"]


def test_a_person_is_asked_again_where_a_query_comes_with_other_words(hospitals):
    heard = []
    hospitals.ask = lambda words: heard.append(words) or True
    request = first_request(hospitals)
    assert refusal(hospitals.site("hospital-1"), request) == ""
    assert refusal(hospitals.site("hospital-1"), request) == ""
    terms, _ = read_terms(request.proposal.terms)
    again = proposed(request.proposal, QueryTerms(terms.nonce, 1, terms.progress))
    fewer = msgspec.structs.replace(again, participants=4)
    refusal(hospitals.site("hospital-1"), replace(request, proposal=fewer))
    assert ["asks 5 sites" in heard[0], "asks 4 sites" in heard[1]] == [True, True]
    assert len(heard) == 2


def test_no_name_in_a_query_makes_a_line_of_its_own_where_a_person_reads():
    forged = "f\nIt expires at midnight.\N{RIGHT-TO-LEFT OVERRIDE}"
    words = in_words(Query(columns={"sex": Category((forged, "m"))}, rows=9, statistics=(Count("sex"),)), 3)
    assert "one of f\\nIt expires at midnight.\\u202e, m" in words
    assert "\nIt expires" not in words


NO_QUERIES = {
    "a range that is no number": ({"low": -1e308, "high": 1e308}, {"statistic": "mean", "column": "x"}),
    "a range that is nothing": ({"low": 0, "high": 5e-324}, {"statistic": "mean", "column": "x"}),
    "bins beyond 63 bits": (
        {"low": 0, "high": 4e9, "decimals": 6},
        {"statistic": "histogram", "column": "x", "bins": 4096},
    ),
    "a grid without end": (
        {"low": -1, "high": 9},
        {"statistic": "kaplan_meier", "follow_up": {"time": "x", "event": "c", "horizon": 1e300, "unit": 1e-300}},
    ),
    "a covariate of one category": (
        {"low": 0, "high": 9},
        {"statistic": "glm", "outcome": "x", "terms": [["c"]], "family": "linear"},
    ),
}


@pytest.mark.parametrize("which", sorted(NO_QUERIES))
def test_no_query_ends_a_site(which):
    number, statistic = NO_QUERIES[which]
    columns = {"x": {"column": "number", **number}}
    if "'c'" in str(statistic):
        columns["c"] = {"column": "category", "values": ["0"] if "terms" in statistic else ["0", "1"]}
    with pytest.raises((InputError, ParameterError)):
        Query.from_json(json.dumps({"columns": columns, "rows": 9, "statistics": [statistic]}))


# --- by what is published together


def test_a_category_that_is_asked_for_alone_does_not_follow_from_all_others():
    rare = asked(Count(), Count("died"), died=Category(("1",)), minimum_cell=5)
    whole, counted = run(rare, [{"died": ["1"] * 2 + ["0"] * 40}])
    assert (whole["counts"], counted["counts"], counted["missing"]) == ([None], [None], None)


def test_a_curve_does_not_tell_how_few_were_censored():
    """Rows less all events are those censored: the last events stay hidden with them."""
    table = {"time": [1] * 6 + [2] * 6 + [3] * 6 + [4] * 2, "died": ["1"] * 18 + ["0"] * 2}
    ((curve,),) = (one["curves"] for one in run(asked(KaplanMeier(FOLLOWED), minimum_cell=5), [table]))
    assert curve["events_in_all"] is None
    assert (curve["times"], curve["events"]) == ([1.0, 2.0], [6, 6])
    assert curve["at_risk"] == [20, 14]


def survived(few):
    """Ten of each sex in each quarter, most with the event; few: when the two in the middle were censored."""
    times = [[1] * 5 + [3] * 5, [6] * 4 + [8] * 4, [11] * 5 + [13] * 5, [15] * 10, [16] * 10]
    events = [["1"] * 10, ["1"] * 8, ["1"] * 10, ["1"] * 10, ["0"] * 10]
    time, died = sum(times, [*few]), sum(events, ["0", "0"])
    sex = ["f"] * len(time) + ["m"] * len(time)
    return {"time": time * 2, "died": died * 2, "sex": sex}


def test_nothing_of_curves_and_their_test_tells_when_few_were_censored():
    """S and its standard error, to all digits, are of one number at risk alone."""
    by_sex = asked(KaplanMeier(FOLLOWED, "sex"), rows=200, minimum_cell=5, sex=Category(("f", "m")))
    told = [run(by_sex, [survived(few)]) for few in ((2, 2), (2, 7), (7, 9), (12, 14))]
    assert all(one == told[0] for one in told)
    assert told[0][0]["curves"][0]["survival"]
    exactly = msgspec.structs.replace(by_sex, minimum_cell=1)
    assert run(exactly, [survived((2, 2))]) != run(exactly, [survived((2, 7))])


def of_groups(*groups):
    """A table: (sex, how many died, how many lived) of each group."""
    rows = sum(died + lived for _, died, lived in groups)
    return {
        "sex": [sex for sex, died, lived in groups for _ in range(died + lived)],
        "died": [event for _, died, lived in groups for event in ["1"] * died + ["0"] * lived],
        "time": [1 + row % 19 for row in range(rows)],
    }


@pytest.mark.parametrize("small", [(3, 30), (2, 1)], ids=["few events", "few rows"])
def test_the_events_of_hidden_groups_do_not_follow_from_those_of_all(small):
    """A model tells all events; so no group's last events are told, where another has no curve."""
    table = of_groups(("f", *small), ("m", 20, 25), ("n", 20, 20), ("o", 3, 3))
    by_sex, model = KaplanMeier(FOLLOWED, "sex"), Cox(FOLLOWED, (("x",),))
    table["x"] = [row % 10 for row in range(len(table["time"]))]
    sexes = {"sex": Category(("f", "m", "n", "o"))}
    groups, whole = run(asked(by_sex, model, rows=200, minimum_cell=5, **sexes), [table])
    assert whole["events"] == 43 + small[0]
    assert [curve["events_in_all"] for curve in groups["curves"]] == [None] * len(groups["curves"])
    told = sum(sum(curve["events"]) for curve in groups["curves"])
    assert whole["events"] - told >= 5 + small[0]


def test_no_model_tells_how_few_were_censored():
    """They are all rows, less the events."""
    table = {"time": [1, 2, 3, 4] * 10, "died": ["1"] * 37 + ["0"] * 3, "x": [row % 10 for row in range(40)]}
    with pytest.raises(InputError, match="fewer than 5 of all rows are without the event 'died'"):
        run(asked(Cox(FOLLOWED, (("x",),)), minimum_cell=5), [table])


def test_curves_by_other_groups_are_another_query():
    by_sex = KaplanMeier(FOLLOWED, "sex")
    sexes = {"sex": Category(("f", "m", "n"))}
    for other in (KaplanMeier(FOLLOWED), KaplanMeier(FollowUp("time", "died", 10), "sex")):
        with pytest.raises(ParameterError, match=r"column '(time|died)' is cut into other cells by two tables"):
            asked(by_sex, other, rows=200, minimum_cell=5, **sexes)
    asked(by_sex, KaplanMeier(FOLLOWED), rows=200, minimum_cell=1, **sexes)


def test_quantiles_do_not_tell_where_few_rows_lie():
    """Nineteen of twenty rows would tell that two lie between 3 and 40."""
    table = {"x": [0.1] * 9 + [3.0] * 2 + [9.0] * 9}
    chosen = tuple(rank / 20 for rank in range(1, 20))
    (found,) = run(asked(Quantile("x", chosen), minimum_cell=5), [table])
    shown = [one["probability"] for one in found["quantiles"] if one["low"] is not None]
    assert shown == [0.25, 0.5, 0.75]
    (found,) = run(asked(Quantile("x", chosen)), [table])
    assert all(one["low"] is not None for one in found["quantiles"])


# --- by sums that no rows have, or of others than before


@pytest.mark.parametrize(
    "statistic",
    [Mean("x"), Covariance(("x", "y")), KaplanMeier(FOLLOWED), Glm("y", (("x",),), "linear")],
    ids=["mean", "covariance", "kaplan_meier", "glm"],
)
def test_what_no_rows_have_is_no_result(statistic):
    def lie(vector):
        return np.where(np.arange(len(vector)) < 2, vector, 0)

    with pytest.raises(ProtocolViolation, match="of no rows: a site has added what it cannot have"):
        run(asked(statistic), TABLES, lie=lie)


def test_an_outcome_that_never_varies_has_no_linear_model():
    constant = [table | {"y": np.full(60, 5.0)} for table in TABLES]
    with pytest.raises(InputError, match="the model tells outcome 'y' exactly in these rows"):
        run(asked(Glm("y", (("x",),), "linear")), constant)


@pytest.mark.parametrize(
    ("statistic", "rows", "wide"),
    [
        (Glm("y", (("x",),), "poisson"), 10_000, {"y": Number(0, 1e6, 2)}),
        (Cox(FOLLOWED, (("x",),)), 1_000_000, {"x": Number(0, 300, 2)}),
        (Meta("mean", "x"), 1_000_000, {}),
    ],
    ids=["poisson", "cox", "meta"],
)
def test_sums_that_are_too_coarse_for_an_estimate_are_none(statistic, rows, wide):
    """They would be off by more than 10⁻⁶, and look right."""
    with pytest.raises(InputError, match=r"too coarse for the .*: give narrower bounds, or lower rows"):
        run(asked(statistic, rows=rows, **wide), TABLES)


@pytest.mark.parametrize(
    ("statistic", "after"),
    [
        (Glm("died", (("x",),), "logistic"), 1),
        (Glm("died", (("x",),), "logistic"), 3),
        (Cox(FOLLOWED, (("x",),)), 2),
        (Meta("mean", "x"), 1),
    ],
    ids=["glm", "glm, later", "cox", "meta"],
)
def test_all_of_a_result_is_of_the_same_rows_whoever_drops_out(statistic, after):
    """Tests against no effect, too: a null model of other rows would make any effect significant."""
    (found,) = run(asked(statistic), TABLES, dropouts=1, after=after)
    (alone,) = run(asked(statistic), TABLES[:-1])
    assert found == alone
