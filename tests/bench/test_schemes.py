"""`secagg bench schemes` measures what it says, says who was left out and why, and the page shows its tables."""

import json
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from secagg_bench.choice import CHOICES, FLARE, fit, line_up, promise_of
from secagg_bench.peers import ours
from secagg_bench.peers.runner import Contestant, Status, run_one
from secagg_bench.peers.task import Task
from secagg_bench.schemes import parse_losses, run_schemes
from secagg_protocols import ParameterError, Step
from secagg_protocols.errors import install_line

TASK = Task(clients=6, length=50, dropped=0, neighbours=5, threshold=4, value_bits=16)
LIMIT_S = 120.0
PAGE = Path(__file__).parents[2] / "docs" / "choosing-a-scheme.md"
BEGIN, END = "<!-- secagg bench schemes --markdown -->", "<!-- end -->"
WITHOUT_EXTRAS = ["--only", "plain", "--only", "bonawitz", "--only", "threshold-ckks"]
SMALL = ["--clients", "6", "--length", "50"]

app = typer.Typer()
app.command()(run_schemes)


def hide(folder: Path, monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """Make packages look as if they were not installed, in processes that are started from here on."""
    for name in names:
        (folder / name).mkdir()
        source = f"raise ModuleNotFoundError('gone', name={name!r})"
        (folder / name / "__init__.py").write_text(source, encoding="utf-8")
    monkeypatch.syspath_prepend(str(folder))


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hide(tmp_path, monkeypatch, "nvflare", "tenseal")


def shape(markdown: str) -> list[list[str]]:
    """Return the headings of each table, and the first column of each but the last (its rows are steps)."""
    found: list[list[str]] = []
    for block in markdown.split("\n\n"):
        lines = block.splitlines()
        if lines and lines[0].startswith("|"):
            found.append([cell.strip() for cell in lines[0].strip("|").split("|")])
            found.append(list(dict.fromkeys(line.split("|")[1].strip() for line in lines[2:])))
    return found


@pytest.mark.parametrize("name", CHOICES)
def test_every_scheme_computes_the_mean_and_reports_bytes_by_step(name: str) -> None:
    if name in ("bfv", "ckks"):
        pytest.importorskip("tenseal.sealapi")
    task = fit(name, TASK, {})
    cost, scheme = ours.measure(task), ours.scheme_for(task)
    assert list(cost.sent_by_step) == [step.value for step in scheme.steps]
    assert sum(cost.sent_by_step.values()) == pytest.approx(cost.upload_bytes)
    assert sum(cost.received_by_step.values()) == pytest.approx(cost.download_bytes)
    assert cost.encrypt_ms is not None
    assert 0 < cost.encrypt_ms <= cost.client_ms


def test_those_that_vanish_late_are_in_the_sum() -> None:
    task = fit("threshold-ckks", TASK, {"Encrypt": 1, "Opening": 1})
    assert (task.dropped, task.survivors) == (1, range(2, 7))
    dropouts = ours.dropouts(ours.scheme_for(task), task)
    assert dropouts == {1: Step.ENCRYPT, 2: Step.OPENING}
    assert ours.measure(task).max_abs_error < 1e-2  # the mean is over participants 2 … 6


@pytest.mark.parametrize(("name", "last"), [("bonawitz", "Unmasking"), ("threshold-ckks", "Opening"), ("plain", "Sum")])
def test_the_last_step_is_each_schemes_own(name: str, last: str) -> None:
    """So that schemes whose steps have other names are compared at the same losses, in one run."""
    task = fit(name, Task(10, 50, 1, 9, 7 if name != "plain" else 0), {"last": 2})
    expected = {"Sum": 3} if name == "plain" else {ours.scheme_for(task).upload_step.value: 1, last: 2}
    assert {step: count for step, count in task.losses.items() if count} == expected


def test_losses_add_to_those_dropped() -> None:
    task = fit("bonawitz", Task(8, 50, 1, 7, 4, 16), {"ShareKeys": 1, "MaskedInput": 1, "Unmasking": 1})
    assert task.dropped == 3
    assert task.losses["MaskedInput"] == 2


def test_flare_is_spared_whoever_is_in_no_sum() -> None:
    contestants, skipped = line_up(["threshold-ckks"], TASK, {"Encrypt": 1, "Opening": 1})
    assert [contestant.label for contestant in contestants] == [FLARE, "threshold-ckks"]
    assert {contestant.against for contestant in contestants} == {FLARE}
    assert contestants[0].task.survivors == contestants[1].task.survivors
    assert skipped == []


def test_a_scheme_without_that_step_is_skipped_by_name() -> None:
    contestants, skipped = line_up(CHOICES, TASK, {"Opening": 1})
    assert [contestant.label for contestant in contestants] == [FLARE, "threshold-ckks"]
    reasons = {outcome.contestant.label: outcome.reason for outcome in skipped}
    assert reasons["bfv"] == "it has no step Opening; its steps are Encrypt, Release"


def test_too_few_left_is_refused() -> None:
    with pytest.raises(ParameterError, match="4 participants must finish; 3 are left"):
        fit("bonawitz", Task(6, 50, 3, 5, 4, 16), {})


def test_promises_follow_the_scheme() -> None:
    contestants, _ = line_up(CHOICES, TASK, {})
    promises = {contestant.label: promise_of(contestant) for contestant in contestants}
    assert promises["plain"].opened_by == "server"
    assert promises["bonawitz"].opened_by == "server + 4 participants"
    assert promises["bfv"].opened_by == promises["ckks"].opened_by == "server + any one participant"
    assert [promises[name].sums for name in ("bonawitz", "threshold-ckks", "bfv", "ckks")] == ["exact"] * 4
    assert promises["bonawitz"].round_trips == 4
    many, _ = line_up(["threshold-ckks"], Task(100, 50, 0, 99, 67, 16), {})
    assert promise_of(many[1]).opened_by == "server + 67 participants (parts of it: 36)"


def test_a_mean_may_be_off_by_rounding_and_no_more() -> None:
    weights = sum(TASK.weight(participant) for participant in TASK.survivors)
    exact = sum(TASK.weight(each) * TASK.update(each).astype(np.float64) for each in TASK.survivors) / weights
    bound = TASK.codec().error_bound(len(TASK.survivors), weights)
    with pytest.raises(ArithmeticError, match="wrong by"):
        TASK.error_of(exact + 2.1 * bound)
    assert TASK.error_of(exact + 1.9 * bound) > 0


@pytest.mark.usefixtures("bare")
def test_a_scheme_whose_backend_is_missing_is_skipped_by_name() -> None:
    outcome = run_one(Contestant("bfv", "ours", fit("bfv", TASK, {}), FLARE), LIMIT_S)
    assert outcome.status is Status.SKIPPED
    assert outcome.reason == f"tenseal is not installed; {install_line('he')}"


@pytest.mark.usefixtures("bare")
def test_json_names_who_was_skipped_and_has_no_ratios_without_flare() -> None:
    result = CliRunner().invoke(app, [*SMALL, "--only", "bfv", "--only", "threshold-ckks", "--json"])
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    found = {row["name"]: row for row in told["schemes"]}
    assert found[FLARE]["status"] == found["bfv"]["status"] == "skipped"
    row = found["threshold-ckks"]
    assert (row["status"], row["ratios"], row["threshold"]) == ("measured", None, 4)
    assert row["vector_bytes"] == row["cost"]["sent_by_step"]["Encrypt"]
    assert "FLARE HE: skipped: " in result.stderr
    assert f"bfv: skipped: tenseal is not installed; {install_line('he')}" in result.stderr


@pytest.mark.usefixtures("bare")
def test_people_get_the_same_tables() -> None:
    result = CliRunner().invoke(app, [*SMALL, *WITHOUT_EXTRAS, "--drop", "Encrypt=1"])
    assert result.exit_code == 0, result.output
    assert "1 lost before Encrypt" in result.stdout
    assert "bonawitz: skipped: it has no step Encrypt" in result.stdout


@pytest.mark.usefixtures("bare")
def test_the_pages_tables_are_those_the_command_prints() -> None:
    result = CliRunner().invoke(app, [*SMALL, "--markdown"])
    assert result.exit_code == 0, result.output
    page = PAGE.read_text(encoding="utf-8")
    block = page[page.index(BEGIN) : page.index(END)]
    printed, shown = shape(result.stdout), shape(block)
    assert printed[:-1] == shown[:-1]  # headings everywhere; FLARE and every scheme in the first three tables
    assert shown[1] == [FLARE, *CHOICES]
    assert set(printed[-1]) <= set(shown[-1]) == set(CHOICES)


def test_losses_are_given_as_step_and_count() -> None:
    assert parse_losses(["Encrypt=1", "Opening=2", "Encrypt=1"]) == {"Encrypt": 2, "Opening": 2}


@pytest.mark.parametrize(
    "arguments",
    [["--dropped", "5"], ["--only", "somebody"], ["--clients", "2"], ["--drop", "Encrypt"], ["--drop", "Lunch=1"]],
    ids=" ".join,
)
def test_impossible_requests_are_bad_usage(arguments: list[str]) -> None:
    assert CliRunner().invoke(app, arguments).exit_code == 2


@pytest.mark.skipif(find_spec("nvflare") is None, reason="nvflare not installed")
def test_ratios_are_to_flare_when_it_is_installed() -> None:
    result = CliRunner().invoke(app, [*SMALL, "--only", "threshold-ckks", "--json"])
    assert result.exit_code == 0, result.output
    flare, row = json.loads(result.stdout)["schemes"]
    assert flare["ratios"] == {"client": 1, "server": 1, "sent": 1}
    assert row["ratios"]["sent"] == pytest.approx(row["cost"]["upload_bytes"] / flare["cost"]["upload_bytes"])
    assert 0 < flare["cost"]["encrypt_ms"] < flare["cost"]["client_ms"]
