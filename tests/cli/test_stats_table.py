"""`secagg stats table`: what several sites have together, and a query as a file."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from secagg.stats import Query
from secagg.train.schema import read_schema

Command = Callable[..., Any]  # tests/cli/conftest.py

CASES = Path(__file__).parent.parent / "cases"
TABLE = CASES / "03-schema-and-site-disagree" / "table.csv"
BY_SITE = ("--csv", TABLE, "--site-column", "site")


def test_it_gives_what_the_pooled_table_gives(secagg_command: Command) -> None:
    pooled = pd.read_csv(TABLE)
    asked = ("--count", "--mean", "age:0:120:0", "--by", "sex", "--crosstab", "sex,outcome", "--quantile", "age")
    ended = secagg_command("stats", "table", *BY_SITE, *asked, "--minimum-cell", 2, "--json")
    assert ended.code == 0, ended.stderr
    count, mean, quantile, crosstab = ended.json()["results"]
    assert count["sites"] == pooled["site"].nunique()
    by = pooled.groupby("sex")["age"]
    assert dict(zip(count["groups"], count["counts"], strict=True)) == by.size().to_dict()
    assert [row["mean"] for row in mean["rows"]] == pytest.approx(by.mean().tolist(), rel=1e-12)
    assert crosstab["counts"] == pd.crosstab(pooled["sex"], pooled["outcome"]).to_numpy().tolist()
    for row in quantile["quantiles"]:
        assert row["low"] <= pooled["age"].quantile(row["probability"], "lower") <= row["high"]
    assert "computed from the rows of all sites" in ended.stderr


def test_a_name_with_a_colon_or_a_comma_stands_in_double_quotes(secagg_command: Command, tmp_path: Path) -> None:
    table = pd.DataFrame({"a:b": range(30), "c, d": range(30), "e": range(30)})
    path = tmp_path / "table.csv"
    table.to_csv(path, index=False)
    asked = ("--mean", '"a:b"', "--sum", '"a:b":0:29:0', "--histogram", '"a:b":3', "--covariance", 'e,"c, d"')
    ended = secagg_command("stats", "table", "--csv", path, *asked, "--minimum-cell", 0, "--json")
    assert ended.code == 0, ended.stderr
    _, mean, histogram, covariance = ended.json()["results"]
    assert mean["rows"][0]["mean"] == 14.5
    assert len(histogram["counts"]) == 3
    assert covariance["columns"] == ["e", "c, d"]


def test_a_query_file_holds_what_was_asked_and_is_never_written_over(secagg_command: Command, tmp_path: Path) -> None:
    file = tmp_path / "query.json"
    schema = tmp_path / "schema.json"
    schema.write_text(json.dumps({"sex": ["f", "m"], "crp": [0, 400]}))
    asked = ("--mean", "age:0:120", "--by", "sex", "--histogram", "crp:8", "--schema", schema, "--query-out", file)
    assert secagg_command("stats", "table", *asked, "--json").json()["written"] == str(file)
    query = Query.from_json(file.read_bytes())
    assert query.columns["crp"].high == 400
    assert query.columns["sex"].values == ("f", "m")
    ended = secagg_command("stats", "table", *asked)
    assert ended.code == 1
    assert "is there already; give --query-out another name" in ended.stderr


def test_a_schema_from_sums_is_one_that_training_reads(secagg_command: Command, tmp_path: Path) -> None:
    schema = tmp_path / "schema.json"
    asked = ("--mean", "age:0:120", "--crosstab", "sex,outcome", "--minimum-cell", 2, "--schema-out", schema)
    assert secagg_command("stats", "table", *BY_SITE, *asked).code == 0
    columns = read_schema(schema)
    assert 0 < columns["age"].low < columns["age"].high < 120
    assert columns["sex"].categories == ("f", "m")


def test_dropouts_are_not_in_the_result_and_it_says_so(secagg_command: Command) -> None:
    ended = secagg_command("stats", "table", "--csv", TABLE, "--institutions", 5, "--count", "--drop", 1, "--json")
    (count,) = ended.json()["results"]
    rows = len(pd.read_csv(TABLE))
    assert count["sites"] == 4
    assert count["counts"] == [rows - len(range(0, rows, 5))]


def test_with_noise_it_says_how_much_and_what_epsilon_that_is(secagg_command: Command) -> None:
    pytest.importorskip("dp_accounting")
    ended = secagg_command("stats", "table", *BY_SITE, "--count", "--epsilon", 2, "--json").json()
    assert ended["epsilon"]["server"] == pytest.approx(2, rel=0.01)
    assert "Noise of standard deviation" in ended["disclosure"]
    exact = secagg_command("stats", "table", *BY_SITE, "--count", "--json").json()
    assert exact["epsilon"] == {}
    assert "exact figures without noise" in exact["disclosure"]


def test_figures_of_single_sites_are_called_that(secagg_command: Command) -> None:
    said = "column 'site' names the site: what is shown by it is a single site's"
    assert said in secagg_command("stats", "table", *BY_SITE, "--count", "--by", "site").stdout
    assert said not in secagg_command("stats", "table", *BY_SITE, "--count", "--by", "sex").stdout


def test_a_column_of_dates_is_not_told_to_be_left_out_of_what_asks_for_it(
    secagg_command: Command, tmp_path: Path
) -> None:
    path = tmp_path / "visits.csv"
    path.write_text("visit,empty\n" + "".join(f"2020-01-{day:02},\n" for day in range(1, 29)))
    said = secagg_command("stats", "table", "--csv", path, "--mean", "visit").stderr
    assert "holds dates: turn them into numbers" in said
    assert "--ignore" not in said
    assert "'empty' is empty" in secagg_command("stats", "table", "--csv", path, "--mean", "empty").stderr


WRONG = {
    "--mean ago": "has no column 'ago' (did you mean 'age'?)",
    "--mean sex": "column 'sex' holds texts, and numbers are needed",
    "--mean age:5:1": "--mean: 'age:5:1': bounds 5.0 and 1.0 must be two finite numbers, the lower one first",
    '--mean "age:0': "--mean: '\"age:0' is not COLUMN[:LOW:HIGH[:DECIMALS]]",
    "--mean age:0": "--mean: 'age:0' is not COLUMN[:LOW:HIGH[:DECIMALS]]",
    "--mean age:0:9 --sum age:0:8": "column 'age' is given two different ranges",
    "--mean age --by age": "column 'age' is asked for as numbers and as categories",
    "--mean age --epsilon 1": "mean states no sensitivity",
    "--count --query-out q.json --schema-out s.json": "asks nobody",
    "--compare age": "needs groups: give --by",
    "--crosstab sex": "--crosstab: 'sex' is not COLUMN,COLUMN",
    "--count --rows 3": "raise --rows",
    "--count --drop 99": "--drop 99 of",
    "--count --drop 1 --institutions 3": "--drop 1 of 3 sites leaves fewer than 3",
    "--count --expires 2020-01-01T00:00:00+00:00": "--expires 2020-01-01T00:00:00+00:00 is over",
    "--count --separator ::": "--separator '::' must be one character",
    "--count --delta 0.5": "--delta: it is of the noise that --epsilon asks for",
    "--count --epsilon 0.000000001": "no noise for --epsilon 1e-09: it is wider than sums have tables for",
    "--quantile age --at 0.5,2": "--at: '0.5,2' are not different numbers between 0 and 1",
    "--count --institutions 999": "--institutions 999 of table.csv, which has",
    "--count --expires soon": "--expires 'soon' is no time with its offset",
    "--quantile age --at half": "--at: 'half' are not different numbers between 0 and 1",
    "--quantile age --within 0.0000001": "finer than its",
    "--count --scheme plain --colluders 1": "withstands nobody; choose bonawitz",
    "--crosstab sex,outcome --crosstab outcome,site --crosstab sex,site": "together twice",
    "": "nothing is asked for; give --count",
}  # fmt: skip


@pytest.mark.parametrize("asked", sorted(WRONG))
def test_what_cannot_be_asked_is_refused_in_one_line(secagg_command: Command, asked: str) -> None:
    sites = BY_SITE[:2] if "--institutions" in asked else BY_SITE
    ended = secagg_command("stats", "table", *sites, *asked.split())
    assert ended.code in (1, 2)
    (line,) = ended.stderr.splitlines()
    assert WRONG[asked] in line
