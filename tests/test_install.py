"""Nothing that a reader installs may come from a stranger: no index holds this project under its name.

So every line that installs it does so from a clone, with the versions that the tests run with. `make test-install`
gives each line to pip, in a new environment, and lets it resolve and download what it names without installing it.
"""

import os
import re
import shlex
import subprocess
import sys
import tomllib
import venv
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from secagg_protocols.errors import MissingExtra

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
LINE = re.compile(r"pip install (?:\"[^\"\n]*\"|'[^'\n]*'|[^`\"'\n#;)])+")
OWN_RUN = "SECAGG_TEST_INSTALL"


def told() -> Iterator[tuple[str, str]]:
    """Yield (file, line) of whatever tells a reader to install something: docs, examples, messages; not the past."""
    read = [
        *(file for file in ROOT.glob("*.md") if file.name != "CHANGELOG.md"),
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "examples").rglob("*.md"),
    ]
    code = [ROOT / "constraints.txt", ROOT / "Makefile"]
    for folder in ("secagg", "protocols", "he_backend", "bench", "examples"):
        code += (ROOT / folder).rglob("*.py")
    code += (file for file in (ROOT / "tests").rglob("*.py") if file != Path(__file__))  # why they are skipped
    for file in sorted((*read, *code)):
        for line in LINE.findall(file.read_text(encoding="utf-8").replace("\\\n", " ")):
            yield str(file.relative_to(ROOT)), line.strip()
    yield "errors.py", LINE.findall(str(MissingExtra("train", "torch")))[0]


def from_a_clone(line: str) -> list[str]:
    """Return the extras that a line installs from a clone; none where it installs something else."""
    return [extra for extras in re.findall(r"-e ['\"]?\.\[([\w,-]+)\]", line) for extra in extras.split(",")]


def test_no_line_takes_the_project_from_an_index() -> None:
    wrong = []
    for file, line in told():
        named = [word for word in shlex.split(line)[2:] if re.match(r"secagg(_\w+)?\b(?![/.])", word)]
        if named or (from_a_clone(line) and "-c constraints.txt" not in line):
            wrong.append((file, line))
    assert not wrong, wrong


def test_every_extra_that_a_line_names_is_there() -> None:
    named = {extra for _, line in told() for extra in from_a_clone(line)}
    used = {
        extra
        for folder in ("secagg", "he_backend", "protocols", "bench")
        for file in (ROOT / folder).rglob("*.py")
        for extra in re.findall(r"(?:needed|install_line)\(\"(\w+)\"\)", file.read_text(encoding="utf-8"))
    }
    assert named >= {"train", "he"}
    assert used >= {"cli", "train", "he", "bench"}
    assert named | used <= EXTRAS.keys()


def test_what_is_installed_beside_it_has_no_dependency_of_its_name() -> None:
    for file in sorted((ROOT / "examples").rglob("pyproject.toml")):
        for line in tomllib.loads(file.read_text(encoding="utf-8"))["project"]["dependencies"]:
            assert not line.startswith("secagg"), (file, line)


def test_the_constraints_are_versions_that_the_extras_take() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pinned = dict(line.split("==") for line in lines if line and not line.startswith("#"))
    versions = {canonicalize_name(name): version for name, version in pinned.items()}
    for line in (*PROJECT["dependencies"], *(line for extra in EXTRAS.values() for line in extra)):
        wanted = Requirement(line)
        name = canonicalize_name(wanted.name)
        if name != "secagg":
            assert versions[name] in wanted.specifier, line


@pytest.mark.skipif(OWN_RUN not in os.environ, reason="asks an index for every package: make test-install")
def test_pip_takes_every_line(tmp_path: Path) -> None:
    venv.create(tmp_path / "new", with_pip=True)
    python = tmp_path / "new" / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    for line in sorted({line for _, line in told() if from_a_clone(line)}):
        words = shlex.split(line)[2:]
        command = [python, "-m", "pip", "install", "--dry-run", "--quiet", *words]
        ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        assert ended.returncode == 0, (line, ended.stderr)
        assert "does not provide the extra" not in ended.stderr, (line, ended.stderr)
