"""The command line as a whole."""

import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import typer

from secagg.cli.app import app
from secagg.schemes import ONE_KEY, SCHEMES, WITHSTAND_ACTIVE
from secagg_protocols.errors import install_line

Command = Callable[..., Any]  # tests/cli/conftest.py

WITHOUT = "import sys; sys.modules[{!r}] = None; from secagg.cli import main; main()"


@pytest.mark.parametrize(
    ("module", "extra", "arguments"),
    [
        ("typer", "cli", []),
        ("dp_accounting", "train", ["train"]),
        ("tenseal.sealapi", "he", ["simulate", "--scheme", "ckks"]),
    ],
)
def test_without_an_extra_one_line_names_it(tmp_path: Path, module: str, extra: str, arguments: list[str]) -> None:
    command = [sys.executable, "-c", WITHOUT.format(module), *arguments]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    package = module.partition(".")[0]
    assert ended.stderr == f"secagg: {package} is not installed; in your clone of secagg: {install_line(extra)}\n"
    assert ended.stdout == ""
    assert list(tmp_path.iterdir()) == []


def test_a_training_without_seal_names_its_extra(
    secagg_command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "tenseal.sealapi", None)
    ended = secagg_command("train", "--scheme", "bfv")
    assert (ended.code, ended.stdout) == (2, "")
    assert ended.stderr == f"secagg: tenseal is not installed; in your clone of secagg: {install_line('he')}\n"
    assert list(tmp_path.iterdir()) == []


def test_the_names_on_the_command_line_are_the_schemes() -> None:
    param = typer.main.get_command(app).get_command(None, "simulate").params[0]
    assert param.type.get_metavar(param) == f"[{'|'.join(SCHEMES)}]"
    assert all(kind.name == name for name, kind in SCHEMES.items())


def test_what_is_said_of_a_scheme_by_name_is_what_it_does() -> None:
    for name, kind in SCHEMES.items():
        refusals = []
        for parameters in ({"adversary": "active"}, {"colluders": 1}):
            try:
                kind(10, 1, **parameters)
            except (TypeError, ValueError) as error:
                refusals.append((parameters, error))
        refused = {key for parameters, _ in refusals for key in parameters}
        assert (name in WITHSTAND_ACTIVE) == ("adversary" not in refused)
        assert name not in ONE_KEY or "colluders" in refused


def test_the_version_is_the_distributions(secagg_command: Command) -> None:
    assert secagg_command("--version").stdout.strip() == version("secagg")


def test_an_unknown_command_is_bad_usage(secagg_command: Command) -> None:
    assert secagg_command("aggregate").code == 2


def test_schemes_say_who_learns_what(secagg_command: Command) -> None:
    schemes = secagg_command("schemes", "--json").json()["schemes"]
    assert [(scheme["scheme"], scheme["adversary"]) for scheme in schemes] == [
        ("plain", "semi-honest"),
        ("bonawitz", "semi-honest"),
        ("bonawitz", "active"),
        ("secagg-plus", "semi-honest"),
        ("lightsecagg", "semi-honest"),
        ("threshold-ckks", "semi-honest"),
        ("threshold-ckks", "active"),
        ("bfv", "semi-honest"),
        ("ckks", "semi-honest"),
    ]
    assert {scheme["scheme"] for scheme in schemes} == set(SCHEMES)
    assert all(row["learns"] for scheme in schemes for row in scheme["leakage"])
