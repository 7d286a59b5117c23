"""The command line as a whole."""

import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

Command = Callable[..., Any]  # tests/cli/conftest.py

WITHOUT_TYPER = "import sys; sys.modules['typer'] = None; from secagg.cli import main; main()"


def test_without_the_extra_one_line_names_it() -> None:
    ended = subprocess.run([sys.executable, "-c", WITHOUT_TYPER], capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert ended.stderr == "secagg: typer is not installed; it comes with: pip install 'secagg[cli]'\n"
    assert ended.stdout == ""


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
    ]
    assert all(row["learns"] for scheme in schemes for row in scheme["leakage"])
