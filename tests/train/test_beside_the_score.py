"""What is said beside a score and beside ε: how many rows they are of, whose, and what more runs cost."""

from pathlib import Path
from typing import Any

import pytest

from secagg.privacy.views import epsilon_text
from secagg.train import TrainConfig, TrainResult, run
from secagg.train.report import render

CASES = Path(__file__).parents[1] / "cases"


def run_on(case: str, table: str, **changes: Any) -> TrainResult:
    settings = {
        "csv": CASES / case / table,
        "target": "outcome",
        "site_column": "site",
        "rounds": 1,
        "noise_multiplier": 4.0,
        "epsilon": None,
        "report": None,
    }
    return run(TrainConfig.of(**(settings | changes)))


def test_visits_of_one_patient_have_more_than_epsilon_together() -> None:
    result = run_on("05-several-rows-per-patient", "visits.csv", patient_column="patient")
    found = result.as_json()
    assert found["epsilon_unit"] == "row"
    assert found["rows_per_patient"] == 4
    assert found["epsilon_per_patient"] > 4 * found["epsilon"]["server"]
    said = (
        f"One patient has up to 4 training rows: together they have ε = {epsilon_text(found['epsilon_per_patient'])}."
    )
    assert said in " ".join(result.about_epsilon)
    assert said in render(result)


def test_rows_of_nobody_known_are_not_called_patients_and_runs_on_one_table_add_up() -> None:
    result = run_on("13-two-runs-one-table", "table.csv")
    assert result.as_json()["epsilon_per_patient"] is None
    assert "A patient with several rows has more: --patient-column says how much." in result.about_epsilon[0]
    for said in result.about_epsilon:
        assert said in render(result)
    assert "Runs on one table add up" in result.about_epsilon[1]
    assert "choosing the better of two runs counts both" in result.about_epsilon[1]


@pytest.mark.parametrize(
    ("test_fraction", "held_out", "trained_on"), [(0.25, (17, 1), (63, 3)), (0.9, (72, 4), (8, 0))]
)
def test_a_rare_outcome_is_counted_beside_the_score(
    test_fraction: float, held_out: tuple[int, int], trained_on: tuple[int, int]
) -> None:
    result = run_on("12-rare-outcome", "table.csv", test_fraction=test_fraction, noise_multiplier=None)
    found = result.as_json()
    assert (found["held_out"]["rows"], found["held_out"]["positives"]) == held_out
    assert (found["trained_on"]["rows"], found["trained_on"]["positives"]) == trained_on
    rows, positives = held_out
    assert f"scored on {rows} held-out rows, {positives} of them '1'" in result.scored_on
    assert f"The models are scored on {rows} held-out rows, {positives} of them" in render(result)
    (warning,) = (line for line in result.warnings if "Class '1'" in line)
    assert f"{positives} row(s) held out and {trained_on[1] or 'none'} to train on" in warning
    assert result.about_epsilon == ()
