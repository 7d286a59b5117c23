"""A site's own floor for queries: read from its file, kept whatever is asked, and told without telling of its table."""

from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest

from secagg.round import Answers, MemoryStore, SitePolicy
from secagg.stats import (
    Category,
    Count,
    Floor,
    Histogram,
    Inquiry,
    Mean,
    Number,
    Query,
    StatPolicy,
    StatSite,
    settings_of,
)
from secagg.stats.ledger import QueryLedger
from secagg.stats.rows import CsvFile
from secagg.stats.words import EXACT
from secagg_protocols import Identity, ParameterError, Policy, Roster

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
TABLE = pd.DataFrame({"age": [30, 50, 70, 150] * 5, "sex": ["f", "m"] * 10, "id": [1, 2, 3, 4] * 5})
COUNTED = Query(columns={"sex": Category(("f", "m"))}, rows=100, statistics=(Count("sex"),))
BINNED = Query(
    columns={"age": Number(0, 120)}, rows=100, statistics=(Histogram("age", 60),), expires="2026-11-26T13:00:00+00:00"
)


def told(site, query, count=3, **knobs):
    """What a site tells of why it refuses; nothing where it answers."""
    names = [f"site-{number}" for number in range(1, count + 1)]
    with Inquiry(query, settings_of({"minimum_cohort": count, **knobs}), names).open() as rnd:
        answer = site.take(rnd.begin()["site-1"])
    return Answers.from_bytes(answer, len(answer)).refusal


def site(data=TABLE, now=NOW, ask=None, policy=None, **floor):
    policy = policy or StatPolicy(SitePolicy(), Floor(**floor))
    return StatSite(policy, data, MemoryStore(), ask=ask, now=lambda: now)


@pytest.mark.parametrize(
    ("floor", "query", "why"),
    [
        (
            {"statistics": frozenset({"mean"})},
            COUNTED,
            "count is asked for; this site's secagg-stats-statistics is",
        ),
        (
            {"columns": frozenset({"age"})},
            COUNTED,
            "column 'sex' is asked for; this site's secagg-stats-columns is",
        ),
        ({"minimum_cell": 6}, COUNTED, "minimum_cell=5 is proposed; this site's secagg-stats-minimum-cell is 6"),
        (
            {"least_bin": {"age": 5.0}},
            BINNED,
            "'age' in bins of 2 is proposed; this site's secagg-stats-least-bin is",
        ),
        (
            {"least_bin": {"sex": 5.0}},
            COUNTED,
            "'sex' as categories is proposed; this site's secagg-stats-least-bin is",
        ),
        (
            {"least_bin": {"age": 5.0}},
            Query(columns={"age": Number(50, 51)}, rows=100, statistics=(Mean("age"),)),
            "'age' between 50 and 51 is proposed; this site's secagg-stats-least-bin is",
        ),
        ({"until": NOW - timedelta(days=1)}, COUNTED, "until 2026-11-25T12:00:00+00:00 only (secagg-stats-until)"),
    ],
)
def test_a_query_that_asks_for_more_than_a_site_gives_is_refused_by_key_and_value(floor, query, why):
    assert told(site(), query) == ""
    assert why in told(site(**floor), query)


def test_a_query_that_has_expired_or_a_cohort_of_two_or_too_many_a_day_is_refused():
    assert "expired at 2026-11-26T13:00:00+00:00 (expires)" in told(site(now=NOW + timedelta(hours=2)), BINNED)
    assert "asks for 3 participants in a sum; the scheme has 2 (secagg-minimum-cohort)" in told(site(), COUNTED, 2)
    busy = site(queries_per_day=2)
    assert [told(busy, COUNTED)[:40] for _ in range(3)] == ["", "", "Declined: 2 queries were asked within a "]


def test_a_scheme_that_does_not_say_whose_sums_it_opens_is_refused_where_that_counts():
    sparse = {"scheme": "secagg-plus", "neighbours": 4, "threshold": 3, "corrupt_rate": 0.0, "dropout_rate": 0.0}
    assert "secagg-plus does not tell each site all whose vectors" in told(site(), COUNTED, 8, **sparse)
    assert told(site(apart=1), COUNTED, 8, **sparse) == ""


@pytest.mark.parametrize(
    ("floor", "query", "logged"),
    [
        ({"minimum_patients": 21}, COUNTED, "20 patients, fewer than secagg-stats-minimum-patients=21"),
        ({"patient_column": "id"}, COUNTED, "4 patients, fewer than secagg-stats-minimum-patients=10"),
        ({"patient_column": "patient"}, COUNTED, "no column 'patient' (secagg-stats-patient-column)"),
        ({"out_of_bounds": "refuse"}, BINNED, "beyond the query's bounds in 'age': secagg-stats-out-of-bounds=refuse"),
    ],
)
def test_of_its_own_table_a_site_tells_its_log_alone(caplog, tmp_path, floor, query, logged):
    TABLE.to_csv(tmp_path / "table.csv", index=False)
    for data in (TABLE, tmp_path / "table.csv", CsvFile(tmp_path / "table.csv")):
        caplog.clear()
        said = told(site(data, **floor), query)
        assert said == "InputError: this site's own input or files do not fit; its log says more"
        assert logged in caplog.text


def test_a_file_is_read_as_it_is_written(caplog, tmp_path):
    file = tmp_path / "table.csv"
    TABLE.astype({"age": float}).to_csv(file, index=False, sep=";", decimal=",")
    query = Query(columns={"age": Number(0, 120, 1)}, rows=1000, statistics=(Mean("age"),))
    assert told(site(CsvFile(file, ";", ",")), query) == ""
    assert told(site(CsvFile(file, ";")), query)
    assert "holds numbers with the other decimal sign: give --decimal ," in caplog.text


def test_clipped_values_are_counted_in_the_log(caplog):
    assert told(site(), BINNED) == ""
    assert "beyond the query's bounds, and clipped or missing: {'age': 5}" in caplog.text


def test_a_person_reads_the_query_in_words_once_and_a_no_is_for_good():
    heard = []
    query = Query(
        columns={"age": Number(0, 120), "sex": Category(("f", "m"))}, rows=100, statistics=(Mean("age", "sex"),)
    )

    def ask(words):
        heard.append(words)
        return False

    asking = site(ask=ask)
    names = ["site-1", "site-2", "site-3"]
    with Inquiry(query, settings_of({}), names).open() as rnd:
        request = rnd.begin()["site-1"]
    for _ in range(2):
        answer = asking.take(request)
        assert "a person at this site has declined this query" in Answers.from_bytes(answer, len(answer)).refusal
    assert len(heard) == 1
    for part in (
        query.digest.hex()[:16],
        "asks 3 sites for 1 statistic:",
        "mean (column age, by sex): Σx / n",
        "age: a number from 0 to 120 with ",
        "sex: one of f, m",
        "up to 100 rows",
        "Counts below 5 are not published",
        "does not expire",
        EXACT,
    ):
        assert part in heard[0]


# --- its file


@pytest.fixture
def given(tmp_path):
    """The least that a site's file must hold, beside one key more."""
    identity = Identity.generate("north")
    identity.save(tmp_path / "identity")
    everyone = [Identity.generate("coordinator"), identity, Identity.generate("south"), Identity.generate("east")]
    Roster.of("x25519", [one.public(party) for party, one in enumerate(everyone)]).save(tmp_path / "roster")
    files = {"identity": "identity", "stats-ledger": "ledger", "store": "store", "roster": "roster"}
    return {key: str(tmp_path / name) for key, name in files.items()}


def read(given):
    return StatPolicy.read({f"secagg-{key}": value for key, value in given.items()})


def test_a_file_is_read_with_the_keys_of_the_round_beside_those_for_queries(given):
    policy = read(
        given
        | {
            "minimum-cohort": 4,
            "colluders": 1,
            "adversary": "active",
            "stats-statistics": "count, mean",
            "stats-least-bin": "time:30, age:5",
            "stats-until": "2027-01-31T12:00:00+00:00",
            "stats-coordinators": "coordinator",
            "stats-apart": 4,
        }
    )
    assert policy.site.floor.minimum_cohort == 4
    assert policy.site.limits.bits == 63
    assert policy.floor.statistics == {"count", "mean"}
    assert policy.floor.least_bin == {"time": 30.0, "age": 5.0}
    assert policy.floor.until == datetime(2027, 1, 31, 12, tzinfo=UTC)
    assert policy.limits.apart == 5  # a colluder hides nobody
    assert read(given).limits.apart == 3


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"stats-minimum-cel": 5}, "secagg-stats-minimum-cel in the site's file is unknown"),
        ({"stats-statistics": "count,mode"}, "secagg-stats-statistics: 'mode' is unknown; choose from compare"),
        ({"stats-least-bin": "age"}, "secagg-stats-least-bin: 'age' in the site's file is not column:width"),
        ({"stats-least-bin": "age:0"}, "'age:0' in the site's file is not column:width"),
        ({"stats-out-of-bounds": "cut"}, "secagg-stats-out-of-bounds='cut' is neither clip nor refuse"),
        ({"stats-related": "rows"}, "secagg-stats-related='rows' is neither all nor columns"),
        ({"stats-apart": 0}, "secagg-stats-apart=0 is not at least 1"),
        ({"stats-minimum-cell": -1}, "secagg-stats-minimum-cell=-1 is not at least 0"),
        (
            {"stats-until": "2027-01-31"},
            "stats-until='2027-01-31' in the site's file is no time with its offset",
        ),
        ({"stats-ledger": ""}, "secagg-stats-ledger is missing in the site's file"),
        ({"identity": ""}, "secagg-identity is missing in the site's file"),
        ({"stats-coordinators": "x"}, "secagg-stats-coordinators='x' needs secagg-adversary=active"),
        ({"stats-coordinators": "x", "adversary": "active"}, "and the roster's server is 'coordinator'"),
    ],
)
def test_a_file_that_cannot_mean_anything_is_refused_by_key(given, said, why):
    with pytest.raises(ParameterError) as refused:
        read(given | said)
    assert why in str(refused.value)


def test_a_roster_that_was_changed_meanwhile_is_refused_by_a_site_that_names_its_coordinators():
    floor = Floor(coordinators=frozenset({"coordinator"}))
    roster = Roster.of("x25519", [Identity.generate("other").public(0), Identity.generate("north").public(1)])
    policy = StatPolicy(SitePolicy(Policy(adversary="active"), roster=roster), floor, QueryLedger())
    assert "secagg-stats-coordinators='coordinator' and the roster's server is 'other'" in told(
        site(policy=policy), COUNTED
    )
