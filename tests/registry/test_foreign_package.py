"""A scheme that another package brings gets every command, and no line of secagg knows of it.

The package is a real distribution, a folder with metadata and an entry point for each scheme, on a path of its own.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
SECAGG = (sys.executable, "-m", "secagg.cli")
METADATA = "Metadata-Version: 2.1\nName: {}\nVersion: 1.0\n"


def distribution(folder: Path, name: str, source: str, schemes: dict[str, str]) -> None:
    """Write an installed package: module `name`, which brings schemes (name → class)."""
    (folder / f"{name}.py").write_text(source, encoding="utf-8")
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(METADATA.format(name), encoding="utf-8")
    entries = "".join(f"{scheme} = {name}:{kind}\n" for scheme, kind in schemes.items())
    (info / "entry_points.txt").write_text(f"[secagg.schemes]\n{entries}", encoding="utf-8")


def run(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a command in a process in which the folder's packages are installed."""
    path = os.pathsep.join([str(folder), *(entry for entry in sys.path if entry)])
    environment = os.environ | {"PYTHONPATH": path}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def answer(folder: Path, *arguments: str) -> Any:
    """Return what a command of `secagg` says with --json."""
    ended = run(folder, *SECAGG, *arguments, "--json")
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the schemes of `foreign.py`, installed."""
    folder = tmp_path_factory.mktemp("site-packages")
    source = (HERE / "foreign.py").read_text(encoding="utf-8")
    distribution(folder, "foreign_schemes", source, {"open": "Open", "mine": "Mine"})
    return folder


def test_it_is_simulated(installed: Path) -> None:
    said = answer(installed, "simulate", "--scheme", "mine", "--clients", "6", "--drop", "0.2", "--adversary", "active")
    assert (said["scheme"], said["adversary"], said["exact"], said["survivors"]) == ("mine", "active", True, 5)
    assert said["ratio"]["client"] is not None  # it counts the work that it cannot avoid
    said = answer(installed, "simulate", "--scheme", "open", "--clients", "6", "--drop", "0.2")
    assert (said["adversary"], said["exact"], said["ratio"]["client"]) == ("none", True, None)


def test_it_trains_and_the_report_says_what_protects(installed: Path) -> None:
    pytest.importorskip("torch")
    said = answer(installed, "train", "--scheme", "mine", "--rounds", "2")
    assert (said["scheme"], said["adversary"]) == ("mine", "active")
    assert not any("hides" in warning for warning in said["warnings"])
    said = answer(installed, "train", "--scheme", "open", "--rounds", "2")
    assert said["adversary"] == "none"
    assert any("The scheme is open: the server sees every single update" in warning for warning in said["warnings"])


def test_its_cost_is_measured(installed: Path) -> None:
    pytest.importorskip("matplotlib")
    program = """
import json, sys
from pathlib import Path
from secagg_bench.cases import Case, Grid, Sweep, Table, grid_of
from secagg_bench.cli import run

case = {name: Case(name, "semi-honest", 6, 50, 0.2, 0) for name in ("open", "mine")}
grid = Grid("quick", (Table("both", "", tuple(case.values())),), (Sweep("clients", "", tuple(case.values())),))
run(grid, Path("out"), resume=False, as_json=True)
whole = {(c.scheme, c.adversary) for c in grid_of(["open", "mine"], quick=True).cases}
assert whole == {("open", "semi-honest"), ("mine", "semi-honest"), ("mine", "active")}, whole
"""
    ended = run(installed, sys.executable, "-c", program)
    assert ended.returncode == 0, ended.stderr
    rows = {row["case"]["scheme"]: row for row in json.loads(ended.stdout)["tables"][0]["rows"]}
    assert {name: row["survivors"] for name, row in rows.items()} == {"open": 5, "mine": 5}
    assert rows["open"]["ratio"]["client"] is None
    assert rows["mine"]["ratio"]["client"] is not None


def test_it_is_compared_with_the_others(installed: Path) -> None:
    only = ("--only", "open", "--only", "mine", "--clients", "5", "--length", "100")
    rows = {row["name"]: row for row in answer(installed, "bench", "schemes", *only)["schemes"]}
    assert (rows["open"]["status"], rows["mine"]["status"]) == ("measured", "measured")


def test_the_leakage_table_has_its_rows(installed: Path) -> None:
    rows = answer(installed, "schemes")["schemes"]
    mine = [row for row in rows if row["scheme"] == "mine"]
    assert [row["adversary"] for row in mine] == ["semi-honest", "active"]
    assert all(row["protects"] and row["leakage"] and row["guarantee"]["opened_by"] for row in mine)
    assert [row["guarantee"]["adversary"] for row in rows if row["scheme"] == "open"] == [None]


def test_a_mask_key_that_another_class_opens_is_recorded_as_one(installed: Path) -> None:
    """The same protocol under another class was recorded, signed, as having opened sums of shares only."""
    program = """
import json
from datetime import UTC, datetime
import numpy as np
import secagg
from secagg import audit
from secagg.schemes import SCHEMES

opened = {}
for name in ("mine", "bonawitz", "open"):
    scheme = SCHEMES[name](5, 4)
    run = secagg.simulate(scheme, np.ones((5, 4), int), drop={2: scheme.upload_step})
    context = secagg.RoundContext("job", 1, bytes(32))
    record = audit.describe(scheme, context, run, now=datetime.now(UTC), salt=bytes(32))
    opened[name] = record.opened
print(json.dumps(opened))
"""
    ended = run(installed, sys.executable, "-c", program)
    assert ended.returncode == 0, ended.stderr
    opened = json.loads(ended.stdout)
    assert opened["mine"] == opened["bonawitz"] == {"self_mask_seeds": [1, 3, 4, 5], "mask_keys": [2]}
    assert opened["open"] == {}


def test_a_site_takes_part_in_it_only_where_its_own_policy_names_it(installed: Path) -> None:
    """A package that happens to be installed must not widen what a participant agrees to."""
    program = """
import secagg
from secagg.round.policy import SitePolicy
from secagg.round.terms import Proposal
from secagg.schemes import SCHEMES

scheme = SCHEMES["mine"](5, 4)
proposal = Proposal.of(scheme, secagg.RoundContext("job", 1, bytes(32)))
assert SitePolicy.read({"secagg-schemes": "mine"}).accept(proposal) == scheme
try:
    SitePolicy.read({}).accept(proposal)
except secagg.ParameterError as error:
    print(error)
"""
    ended = run(installed, sys.executable, "-c", program)
    assert ended.returncode == 0, ended.stderr
    assert "the server proposes 'mine'; this node takes part in bfv, bonawitz" in ended.stdout


# --- packages whose schemes are refused

BROKEN = "import a_module_that_nobody_has\n"


def refused(folder: Path) -> str:
    """Return the one line with which a list of the schemes is refused."""
    ended = run(folder, *SECAGG, "schemes")
    assert ended.returncode == 2
    assert len(ended.stderr.splitlines()) == 1, ended.stderr
    return ended.stderr


def test_an_entry_point_that_does_not_load_is_refused_by_name(tmp_path: Path) -> None:
    distribution(tmp_path, "broken", BROKEN, {"nothing": "Nothing"})
    error = refused(tmp_path)
    assert "scheme 'nothing', of the package broken, is refused" in error
    assert "a_module_that_nobody_has" in error
    said = answer(tmp_path, "simulate", "--scheme", "bonawitz", "--clients", "3", "--length", "2")
    assert said["exact"]  # our own are there all the same


def test_a_package_cannot_take_the_place_of_bonawitz(tmp_path: Path) -> None:
    """Ids of schemes follow from names: a second bonawitz would pass for the first."""
    source = (HERE / "foreign.py").read_text(encoding="utf-8").replace('= "open"', '= "bonawitz"')
    distribution(tmp_path, "impostor", source, {"bonawitz": "Open"})
    assert "two schemes are called 'bonawitz'" in refused(tmp_path)


def test_two_packages_with_one_name_are_refused(tmp_path: Path) -> None:
    source = (HERE / "foreign.py").read_text(encoding="utf-8")
    for name in ("first", "second"):
        distribution(tmp_path, name, source, {"open": "Open"})
    error = refused(tmp_path)
    assert "two schemes are called 'open'" in error
    assert "first.Open" in error
    assert "second.Open" in error


def test_an_entry_point_with_another_name_than_its_scheme_is_refused(tmp_path: Path) -> None:
    source = (HERE / "foreign.py").read_text(encoding="utf-8")
    distribution(tmp_path, "renamed", source, {"closed": "Open"})
    assert "its name is 'open'" in refused(tmp_path)
