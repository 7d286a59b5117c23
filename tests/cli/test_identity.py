"""`secagg identity` and `secagg roster`: secrets stay in their file; a roster is made from public lines."""

import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from secagg_protocols.core.identity import Identity, Roster

Command = Callable[..., Any]  # tests/cli/conftest.py


@pytest.fixture
def lines(secagg_command: Command, tmp_path: Path) -> list[str]:
    """The public lines of a server and three hospitals."""
    made = []
    for name in ("aggregator", "north", "south", "west"):
        result = secagg_command("identity", "new", name, "-o", tmp_path / f"{name}.json", "--json").json()
        made.append(f"{name}={result['public_key']}")
    return made


def test_an_identity_file_is_its_owners_alone(secagg_command: Command, tmp_path: Path) -> None:
    file = tmp_path / "north.json"
    ended = secagg_command("identity", "new", "north", "-o", file)
    assert ended.code == 0
    identity = Identity.load(file)
    assert f"north={identity.public_key.hex()}" in ended.stdout
    assert identity.signing_key.hex() not in ended.stdout + ended.stderr
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_an_identity_is_never_overwritten(secagg_command: Command, tmp_path: Path) -> None:
    file = tmp_path / "north.json"
    secagg_command("identity", "new", "north", "-o", file)
    before = file.read_bytes()
    ended = secagg_command("identity", "new", "north", "-o", file, "--json")
    assert ended.code == 1
    assert "exists" in ended.json()["error"]
    assert file.read_bytes() == before


def test_show_prints_the_public_half_again(secagg_command: Command, tmp_path: Path) -> None:
    file = tmp_path / "north.json"
    made = secagg_command("identity", "new", "north", "-o", file, "--json").json()
    assert secagg_command("identity", "show", file, "--json").json() == made


def test_a_roster_is_made_from_public_lines(secagg_command: Command, tmp_path: Path, lines: list[str]) -> None:
    file = tmp_path / "roster.json"
    made = secagg_command("roster", "new", "--server", *lines, "-o", file, "--json").json()
    assert made["participants"] == 3
    assert [(entry["id"], entry["name"]) for entry in made["entries"]] == [
        (0, "aggregator"),
        (1, "north"),
        (2, "south"),
        (3, "west"),
    ]
    assert Roster.load(file).digest.hex() == made["digest"]
    assert secagg_command("roster", "show", file, "--json").json() == made


def test_a_roster_with_a_wrong_signature_is_refused(secagg_command: Command, tmp_path: Path, lines: list[str]) -> None:
    consortium, file = tmp_path / "consortium.json", tmp_path / "roster.json"
    key = secagg_command("identity", "new", "consortium", "-o", consortium, "--json").json()["public_key"]
    secagg_command("roster", "new", "--server", *lines, "-o", file, "--sign-with", consortium)
    assert secagg_command("roster", "show", file, "--consortium-key", key).code == 0

    file.write_text(file.read_text().replace("north", "n0rth"))
    ended = secagg_command("roster", "show", file, "--consortium-key", key, "--json")
    assert ended.code == 1
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("line", ["north", "=ab", "north=xyz", "north=abcd"])
def test_a_line_that_is_no_public_key_is_bad_usage(
    secagg_command: Command, tmp_path: Path, lines: list[str], line: str
) -> None:
    ended = secagg_command("roster", "new", "--server", *lines[:3], line, "-o", tmp_path / "roster.json")
    assert ended.code in {1, 2}
    assert "Traceback" not in ended.stderr
    assert not (tmp_path / "roster.json").exists()


def test_a_missing_file_is_one_line(secagg_command: Command, tmp_path: Path) -> None:
    ended = secagg_command("roster", "show", tmp_path / "nowhere.json")
    assert ended.code == 1
    assert len(ended.stderr.splitlines()) == 1
    assert "nowhere.json" in ended.stderr


@pytest.mark.parametrize("name", ["", "a=b", "../north"])
def test_a_name_that_is_none_makes_no_file(secagg_command: Command, tmp_path: Path, name: str) -> None:
    ended = secagg_command("identity", "new", name, "--output", tmp_path / "made.json")
    assert ended.code == 2
    assert not (tmp_path / "made.json").exists()
