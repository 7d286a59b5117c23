"""The report: one file that needs no network and hides nothing that a reader must know."""

import math
import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest
from markupsafe import escape

from secagg.extras import MissingExtra
from secagg.privacy.views import epsilon_text
from secagg.train import TrainConfig, TrainResult, run
from secagg.train.glossary import WORDS
from secagg.train.report import render

VOID = {"meta", "link", "br", "hr", "img", "input"}


class Balanced(HTMLParser):
    """Fails on a tag that closes what is not open."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.ids += [value for name, value in attrs if name == "id" and value]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def result() -> TrainResult:
    return run(TrainConfig.of(rounds=2, report=None))


@pytest.fixture(scope="module")
def html(result: TrainResult) -> str:
    return render(result)


def test_the_page_is_well_formed_and_loads_nothing(html: str) -> None:
    page = Balanced()
    page.feed(html)
    assert page.open == []
    assert not re.search(r"<(script|link|img|iframe)|@import|url\(\s*['\"]?http|(src|href)=\"http", html)


def test_the_figures_are_svg_with_text(html: str) -> None:
    drawings = re.findall(r"<svg.*?</svg>", html, re.S)
    assert len(drawings) == 5
    for drawing in drawings:
        ElementTree.fromstring(drawing)
        assert "<text" in drawing


def test_it_says_what_is_and_what_is_not_protected(html: str, result: TrainResult) -> None:
    for sentence in (
        "one training row of one site more or less",
        "failed ones included",
        "not the presence of a whole site",
        "A bad model or a poisoned update is not detected",
        "The code is not audited",
    ):
        assert sentence in html
    assert f">{epsilon_text(result.epsilon['server'])}<" in html
    assert "Before you trust these figures" not in html


def test_an_epsilon_that_is_small_is_not_shown_as_none(result: TrainResult) -> None:
    small = replace(
        result,
        epsilon=dict.fromkeys(result.epsilon, 0.001234),
        rounds=tuple(replace(record, epsilon=0.001) for record in result.rounds),
    )
    html = render(small)
    assert small.table()[0]["ε"] == "0.00123"
    assert "<b>0.00123</b>" in html
    assert html.count("<td>0.001</td>") == len(result.rounds)


def test_it_shows_every_setting_and_round(html: str, result: TrainResult) -> None:
    assert all(f"<dt>{name}</dt>" in html for name in result.settings)
    assert all(f"<td>{record.round}</td><td>{record.auc:.4f}</td>" in html for record in result.rounds)


def test_it_explains_itself(html: str, result: TrainResult) -> None:
    """What ε is, how the comparisons are trained, what was staged, what more travels, and each word that needs it."""
    assert result.promised_epsilon is not None
    assert f"by a factor of at most {math.exp(result.promised_epsilon):.3g} (e^ε)" in html
    assert "LogisticRegression" in html
    assert "Staged by this simulation: every round loses 2 of 10 sites" in html
    assert f"{result.bytes_ratio:.1f} times as many" in html
    for name, meaning in WORDS.items():
        assert f"<dt>{name}</dt><dd>{escape(meaning)}</dd>" in html
    assert all(f'">{name}</abbr>' in html for name in ("AUC", "ε", "δ", "PLD", "codec", "survivors"))


def test_a_site_of_one_class_is_marked(html: str, result: TrainResult) -> None:
    marked = [site for site in result.sites if site.alone_only is not None]
    assert marked
    assert all(f"{site.name} ({site.alone_only})" in html for site in marked)


def test_a_score_comes_with_its_range(html: str, result: TrainResult) -> None:
    assert result.secure is not None
    low, high = result.secure.auc_range
    assert low < result.secure.auc < high
    assert f"{result.secure.auc:.3f} ({low:.3f}–{high:.3f})" in html


def test_bytes_are_held_against_updates_in_the_clear(result: TrainResult) -> None:
    survivors = [len(record.survivors) for record in result.rounds]
    assert result.plain_bytes_per_round == sum(survivors) / len(survivors) * 31 * 4
    assert result.bytes_ratio is not None
    assert result.bytes_ratio > 10


def test_insecure_deterministic_is_loud() -> None:
    html = render(run(TrainConfig.of(rounds=1, report=None, insecure_deterministic=True)))
    assert 'class="warning loud"' in html
    assert "INSECURE-DETERMINISTIC" in html


def test_a_run_without_privacy_in_the_clear_says_both() -> None:
    html = render(run(TrainConfig.of(rounds=1, report=None, epsilon=None, scheme="plain")))
    assert "the server sees every update" in html
    assert "may give away training rows" in html


def test_names_from_the_data_cannot_become_markup(result: TrainResult) -> None:
    first, *rest = result.sites
    name = "<script>alert(1)</script>"
    html = render(replace(result, dataset=name, classes=(name, "$x_$"), sites=(replace(first, name=name), *rest)))
    assert "<script" not in html


def test_the_report_is_written_where_it_was_asked_for(tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    result = run(TrainConfig.of(rounds=1, report=file))
    assert result.report == str(file)
    assert file.read_text(encoding="utf-8").startswith("<!doctype html>")


def test_importing_the_package_loads_nothing_heavy() -> None:
    program = "import secagg.train, sys; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert not {"torch", "sklearn", "dp_accounting", "matplotlib", "jinja2"} & set(loaded.split())


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "dp_accounting", None)
    with pytest.raises(MissingExtra, match=r"-e '\.\[train\]'"):
        run(TrainConfig.of(report=None))
