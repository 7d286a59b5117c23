"""`secagg schema draft`: a first schema that trains, and says that it was computed from rows."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

Command = Callable[..., Any]  # tests/cli/conftest.py

CASES = Path(__file__).parent.parent / "cases"
TABLE = CASES / "03-schema-and-site-disagree" / "table.csv"


def test_a_draft_lists_rounded_ranges_and_categories_and_asks_for_a_review(secagg_command: Command) -> None:
    ended = secagg_command("schema", "draft", TABLE, "--ignore", "site", "--ignore", "outcome")
    assert ended.code == 0, ended.stderr
    assert json.loads(ended.stdout) == {
        "age": [43, 84],
        "creatinine": [0.1, 2.5],
        "crp": [1, 21],
        "sex": ["f", "m"],
    }
    assert "were computed from the rows" in ended.stderr
    assert "review" in ended.stderr


def test_a_draft_is_never_written_over_a_file(secagg_command: Command, tmp_path: Path) -> None:
    file = tmp_path / "schema.json"
    assert secagg_command("schema", "draft", TABLE, "--output", file, "--json").json()["output"] == str(file)
    assert json.loads(file.read_text())["sex"] == ["f", "m"]
    file.write_text("agreed")
    ended = secagg_command("schema", "draft", TABLE, "--output", file)
    assert ended.code == 1
    assert "is there already; give --output another name" in ended.stderr
    assert file.read_text() == "agreed"


def test_files_that_are_the_sites_train_with_a_drafted_schema(secagg_command: Command, tmp_path: Path) -> None:
    files = [CASES / "07-one-file-per-hospital" / f"{name}.csv" for name in "abcd"]
    schema = tmp_path / "schema.json"
    assert secagg_command("schema", "draft", files[0], "--output", schema).code == 0
    named = [text for file in files for text in ("--csv", f"site-{file.stem}={file}")]
    ended = secagg_command(
        "train", *named, "--target", "outcome", "--positive", "0", "--schema", schema, "--rounds", 1, "--no-dp",
        "--scheme", "plain", "--drop-per-round", 0, "--report", tmp_path / "r.html", "--json",
    )  # fmt: skip
    assert ended.code == 0, ended.stderr
    result = ended.json()
    assert [site["name"] for site in result["sites"]] == ["site-a", "site-b", "site-c", "site-d"]
    assert result["classes"] == ["1", "0"]
    assert result["settings"]["csv"] == named[1::2]
    assert not any("computed from the rows" in warning for warning in result["warnings"])
