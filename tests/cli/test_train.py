"""`secagg train`: options reach the trainer, the result is one object, and a bad table is one line."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from secagg.schemes import ONE_KEY, SCHEMES, WITHSTAND_ACTIVE

Command = Callable[..., Any]  # tests/cli/conftest.py

PROMISED = {
    "dataset", "institutions", "sizes", "scheme", "rounds", "metric", "per_round", "final_metric",
    "plain_fedavg_metric", "local_only_metric", "centralised_metric", "epsilon", "delta", "report",
}  # fmt: skip


@pytest.fixture
def hospitals(tmp_path: Path) -> Path:
    """A table of four sites, two features that say something, and one outcome."""
    rng = np.random.default_rng(0)
    lines = ["site,age,pressure,outcome"]
    for site in ("north", "south", "east", "west"):
        for _ in range(40):
            age, pressure = rng.normal(60, 10), rng.normal(130, 20)
            sick = "yes" if age + pressure + rng.normal(0, 10) > 190 else "no"
            lines.append(f"{site},{age:.1f},{pressure:.1f},{sick}")
    file = tmp_path / "patients.csv"
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return file


def test_a_run_on_the_shipped_data_reports_everything(secagg_command: Command, tmp_path: Path) -> None:
    report = tmp_path / "report.html"
    ended = secagg_command("train", "--rounds", 2, "--report", report, "--json")
    assert ended.code == 0, ended.stderr
    result = ended.json()
    assert result.keys() >= PROMISED
    assert (result["institutions"], result["rounds"], len(result["per_round"])) == (10, 2, 2)
    assert {"metric", "survivors", "dropped", "bytes", "seconds", "epsilon"} <= result["per_round"][0].keys()
    assert all(0 < value <= 3 for value in result["epsilon"].values())
    assert Path(result["report"]) == report
    assert "<html" in report.read_text(encoding="utf-8")


def test_your_own_table_with_its_own_sites(secagg_command: Command, tmp_path: Path, hospitals: Path) -> None:
    ended = secagg_command(
        "train", "--csv", hospitals, "--target", "outcome", "--site-column", "site", "--rounds", 2, "--no-dp",
        "--algorithm", "fedprox", "--drop-per-round", 0, "--report", tmp_path / "report.html", "--json",
        "--sweep", "sites", "--model-out", tmp_path / "model.npz",
    )  # fmt: skip
    assert ended.code == 0, ended.stderr
    result = ended.json()
    assert (result["institutions"], result["sizes"]) == (4, [40, 40, 40, 40])
    assert result["settings"]["fedprox_mu"] > 0
    assert set(result["epsilon"].values()) == {None}
    assert [point["value"] for point in result["sweeps"][0]["points"]] == [3, 4]
    assert "sweep over sites" in ended.stderr
    assert Path(result["model"]) == tmp_path / "model.npz"
    assert (tmp_path / "model.npz").is_file()


def test_a_sweep_over_epsilon_needs_one(secagg_command: Command) -> None:
    ended = secagg_command("train", "--no-dp", "--sweep", "epsilon")
    assert ended.code == 2
    assert "sweep" in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


@pytest.mark.parametrize("scheme", sorted(SCHEMES.keys() - {"plain", "secagg-plus"}), indirect=True)
def test_every_scheme_trains_with_hidden_weights_and_metrics(
    secagg_command: Command, tmp_path: Path, scheme: str
) -> None:
    ended = secagg_command(
        "train", "--scheme", scheme, "--institutions", 6, "--rounds", 2, "--no-dp", "--report", tmp_path / "r.html",
        "--json",
    )  # fmt: skip
    assert ended.code == 0, ended.stderr
    result = ended.json()
    assert result["scheme"] == scheme
    assert result["adversary"] == ("active" if scheme in WITHSTAND_ACTIVE else "semi-honest")
    assert result["settings"]["colluders"] == (0 if scheme in ONE_KEY else 1)
    assert result["derived"]["weight_max"] > 1
    for record in result["per_round"]:
        assert record["dropped"] >= 2
        assert record["survivors"] >= 6 - record["dropped"]
        assert 0 < record["codec_error"] <= record["codec_bound"]
        assert 0 < record["influence"] <= 2 * result["derived"]["update_clip"]
        assert 0 < record["loss"] < 10
    told = any("all sites hold one key" in warning for warning in result["warnings"])
    assert told == (scheme in ONE_KEY)
    assert ("All sites hold one key" in (tmp_path / "r.html").read_text(encoding="utf-8")) == told


def test_people_are_told_where_the_report_is(secagg_command: Command, tmp_path: Path) -> None:
    report = tmp_path / "report.html"
    ended = secagg_command("train", "--rounds", 1, "--scheme", "plain", "--no-dp", "--report", report)
    assert ended.code == 0, ended.stderr
    assert f"report: {report}" in ended.stdout
    assert "in every round, one site can have moved any value of the mean by " in ended.stdout


def test_a_missing_column_is_one_line_with_the_columns_there_are(
    secagg_command: Command, tmp_path: Path, hospitals: Path
) -> None:
    ended = secagg_command(
        "train", "--csv", hospitals, "--target", "nothing", "--report", tmp_path / "r.html", "--json"
    )
    assert ended.code == 1
    assert len(ended.stderr.splitlines()) == 1
    assert "'nothing'" in ended.stderr
    assert "outcome" in ended.json()["error"]


def test_a_missing_table_is_one_line(secagg_command: Command, tmp_path: Path) -> None:
    file = tmp_path / "nowhere.csv"
    ended = secagg_command("train", "--csv", file, "--target", "outcome", "--report", tmp_path / "r.html")
    assert ended.code == 1
    assert len(ended.stderr.splitlines()) == 1
    assert "nowhere.csv" in ended.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["--epsilon", "1", "--no-dp"],
        ["--epsilon", "1", "--dp", "none"],
        ["--dp", "distributed", "--no-dp"],
        ["--dp", "distributed", "--unit", "patient"],
        ["--epsilon", "-1"],
        ["--institutions", "2"],
        ["--target", "outcome"],
        ["--model", "forest"],
    ],
)
def test_bad_usage_leaves_with_2(secagg_command: Command, tmp_path: Path, arguments: list[str]) -> None:
    ended = secagg_command("train", *arguments, "--report", tmp_path / "r.html")
    assert ended.code == 2
    assert "Traceback" not in ended.stderr
