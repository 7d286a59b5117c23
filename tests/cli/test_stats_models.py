"""`secagg stats km`, `cox` and `glm`: what several sites have together, as tables, as JSON and as a page."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from secagg.stats import Query

lifelines = pytest.importorskip("lifelines")
Command = Callable[..., Any]  # tests/cli/conftest.py


@pytest.fixture(scope="module")
def lung(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """NCCTG lung at five sites: its institutions would take longer."""
    from lifelines.datasets import load_lung

    path = tmp_path_factory.mktemp("lung") / "lung.csv"
    rows = load_lung().dropna(subset=["ph.ecog"])
    rows.assign(inst=[f"site {row % 5}" for row in range(len(rows))]).to_csv(path, index=False)
    return path


def asked(path: Path) -> tuple[object, ...]:
    return "--csv", path, "--site-column", "inst", "--time", "time", "--event", "status", "--json"


def test_a_curve_is_that_of_the_pooled_table_and_its_page_stands_alone(
    secagg_command: Command, lung: Path, tmp_path: Path
) -> None:
    page = tmp_path / "km.html"
    ended = secagg_command("stats", "km", *asked(lung), "--by", "sex", "--minimum-cell", 0, "--report", page)
    assert ended.code == 0, ended.stderr
    (result,) = ended.json()["results"]
    rows = pd.read_csv(lung)
    for curve, (_, group) in zip(result["curves"], rows.groupby("sex"), strict=True):
        fitted = lifelines.KaplanMeierFitter().fit(group["time"], group["status"])
        assert curve["median"] == fitted.median_survival_time_
        assert curve["survival"] == pytest.approx(fitted.survival_function_at_times(curve["times"]).tolist(), rel=1e-12)
    assert "log-rank test" in ended.stderr
    text = page.read_text(encoding="utf-8")
    assert "<svg" in text
    assert "at risk" in text
    assert not re.search(r"src=|<link|url\((?!#)|@import|<script", text)


def test_a_curve_of_joined_times_says_so(secagg_command: Command, lung: Path) -> None:
    said = "times were joined, so that nothing shown is of fewer than 5 events or censored rows of a group"
    assert said in secagg_command("stats", "km", *asked(lung)).stderr
    assert said not in secagg_command("stats", "km", *asked(lung), "--minimum-cell", 0).stderr


def test_hazard_ratios_are_those_of_the_pooled_table(secagg_command: Command, lung: Path, tmp_path: Path) -> None:
    page = tmp_path / "cox.html"
    said = ("--covariates", "age,sex", "--category", "sex", "--range", "age:0:120:0", "--minimum-cell", 0)
    ended = secagg_command("stats", "cox", *asked(lung), *said, "--report", page)
    assert ended.code == 0, ended.stderr
    rows = pd.read_csv(lung)[["time", "status", "age", "sex"]]
    options = {"precision": 1e-13, "r_precision": 1e-13}
    fitted = lifelines.CoxPHFitter().fit(rows, "time", "status", fit_options=options)
    (result,) = ended.json()["results"]
    assert [one["estimate"] for one in result["coefficients"]] == pytest.approx(fitted.params_.tolist(), rel=1e-6)
    assert "hazard ratio" in page.read_text(encoding="utf-8")


def test_a_logistic_model_is_read_from_a_formula(secagg_command: Command, lung: Path) -> None:
    said = ("--csv", lung, "--site-column", "inst", "--family", "logistic", "--formula", "status ~ age + ph.ecog")
    ended = secagg_command("stats", "glm", *said, "--json")
    assert ended.code == 0, ended.stderr
    (result,) = ended.json()["results"]
    assert [one["name"] for one in result["coefficients"]] == ["(intercept)", "age", "ph.ecog"]
    assert result["level"] == "1"
    assert "odds" in ended.stderr


def test_a_query_for_sites_elsewhere_needs_no_table(secagg_command: Command, tmp_path: Path) -> None:
    file = tmp_path / "km.json"
    said = ("--time", "time", "--event", "dead=no,yes", "--unit", "0.5", "--horizon", "10.2", "--query-out", file)
    assert secagg_command("stats", "km", *said).code == 0
    query = Query.from_json(file.read_bytes())
    assert query.statistics[0].follow_up.horizon == 10.5
    assert query.columns["dead"].values == ("no", "yes")


@pytest.mark.parametrize(
    ("changed", "said", "why"),
    [
        ({"status": 2}, (), "holds '2', and an event is 0 or 1: say which values mean what (--event status="),
        ({"time": -5}, (), "is negative in 1 row(s)"),
        ({"time": "soon"}, (), "holds"),
        ({}, ("--by", "ward"), "no column 'ward'"),
        ({}, ("--event", "dead"), "no column 'dead'"),
        ({}, ("--unit", "0"), "--unit"),
        ({}, ("--event", "status=alive"), "--event: 'status=alive' is not COLUMN[=CENSORED,EVENT]"),
        ({}, ("--event", "status=1,1"), "--event: 'status=1,1' is not COLUMN[=CENSORED,EVENT]"),
        ({}, ("--query-out", "q.json", "--report", "km.html"), "--query-out asks nobody, and --report needs answers"),
    ],
)
def test_what_is_no_survival_is_refused_in_one_line(
    secagg_command: Command, lung: Path, tmp_path: Path, changed: dict[str, Any], said: tuple[str, ...], why: str
) -> None:
    rows = pd.read_csv(lung).astype(object)
    for name, value in changed.items():
        rows.loc[3, name] = value
    path = tmp_path / "table.csv"
    rows.to_csv(path, index=False)
    words = [word for word in asked(path) if not (said and said[0] == "--event" and word in ("--event", "status"))]
    ended = secagg_command("stats", "km", *words, *said)
    assert ended.code in (1, 2)
    assert why in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (("--formula", "status ~ wealth", "--family", "logistic"), "no column 'wealth'"),
        (("--formula", "status ~ log(age)", "--family", "logistic"), "is not understood from '(age)' on"),
        (("--formula", "ph.karno ~ age", "--family", "logistic"), "needs two"),
        (("--formula", "wt.loss ~ age", "--family", "poisson"), "must hold counts, none below 0"),
        (("--formula", "status ~ age", "--family", "logistic", "--range", "sex:0:3"), "no column of the model"),
        (("--formula", "status ~ age", "--family", "linear", "--exposure", "time"), "belongs to a poisson model"),
    ],
)
def test_what_is_no_model_is_refused_in_one_line(
    secagg_command: Command, lung: Path, said: tuple[str, ...], why: str
) -> None:
    ended = secagg_command("stats", "glm", "--csv", lung, "--site-column", "inst", *said)
    assert ended.code in (1, 2)
    assert why in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("covariates", "why"),
    [
        ("age,time", "column 'time' says when rows leave, and is among the covariates"),
        ("age,", "--covariates 'age,' must have a name, a sign and a name in turn"),
    ],
)
def test_covariates_that_are_none_are_refused_in_one_line(
    secagg_command: Command, lung: Path, covariates: str, why: str
) -> None:
    ended = secagg_command("stats", "cox", *asked(lung), "--covariates", covariates)
    assert ended.code == 2
    assert why in ended.stderr
    assert len(ended.stderr.splitlines()) == 1
