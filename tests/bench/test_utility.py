"""`secagg bench utility`: each point once, with its spread, on one page."""

import json

import pytest
import typer
from typer.testing import CliRunner

from secagg_bench.privacy import curve, utility
from secagg_bench.privacy.curve_command import run_utility
from secagg_protocols import ParameterError

app = typer.Typer()
app.command()(run_utility)


def test_each_point_is_trained_once_and_one_that_cannot_be_says_why(monkeypatch, tmp_path):
    trained = []

    def train(_, seeds, **settings):
        trained.append(settings)
        if settings.get("unit") == "institution":
            raise ParameterError("too few sites")
        return [0.9, 0.8][:seeds]

    monkeypatch.setattr(curve, "aucs", train)
    asked = ["--epsilon", "1", "--epsilon", "3", "--sites", "5", "--seeds", "2", "--json", "--out", str(tmp_path)]
    for resume in ([], ["--resume"]):
        said = CliRunner().invoke(app, [*asked, *resume])
        assert said.exit_code == 0, said.output
    assert len(trained) == 1 + 3 * 2
    assert all(settings["institutions"] == 5 and settings["dropouts"] == 1 for settings in trained)
    points = json.loads(said.stdout)["points"]
    assert [point["reason"] for point in points if not point["aucs"]] == ["too few sites"] * 2
    assert all(point["mean"] == pytest.approx(0.85) for point in points if point["aucs"])
    page = (tmp_path / "utility.html").read_text("utf-8")
    assert "0.850 ± 0.071" in page
    assert "$" not in page


def test_patients_are_there_where_the_table_tells_them_apart():
    grid = curve.Grid("own", {"csv": ("own.csv",), "target": "ill", "patient_column": "who"}, (1.0,), (5,), 2)
    assert {"local, patient", "distributed, patient"} <= grid.noises.keys()
    with pytest.raises(ParameterError, match="--epsilon 0"):
        curve.Grid("own", {}, (0,), (5,), 2)


def test_trainings_of_one_point_differ_in_their_seed():
    configs = []
    utility.aucs(lambda asked: configs.extend(asked) or [], 3, dataset="breast-cancer", institutions=5, **utility.NONE)
    assert [config.run.seed for config in configs] == [0, 1, 2]
    assert {config.data.institutions for config in configs} == {5}
