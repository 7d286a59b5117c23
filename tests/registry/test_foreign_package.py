"""A scheme that another package brings gets every command, and no line of secagg knows of it.

The package is a real distribution, a folder with metadata and an entry point for each scheme, on a path of its own.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from secagg.conformance import capability

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


ONE_AFTER_ANOTHER = """
import json
import sys
from secagg.cli import main

for arguments in json.loads(sys.argv[1]):
    sys.argv = ["secagg", *arguments, "--json"]
    try:
        main()
    except SystemExit as left:
        if left.code:
            raise
    print(flush=True)
"""


def answers(folder: Path, *commands: str) -> list[Any]:
    """Return what commands of `secagg` say with --json, all in one process: its imports take longer than they."""
    words = json.dumps([command.split() for command in commands])
    ended = run(folder, sys.executable, "-c", ONE_AFTER_ANOTHER, words)
    assert ended.returncode == 0, ended.stderr
    found = []
    rest = ended.stdout.lstrip()
    while rest:
        said, end = json.JSONDecoder().raw_decode(rest)
        found.append(said)
        rest = rest[end:].lstrip()
    assert len(found) == len(commands)
    return found


def answer(folder: Path, *arguments: str) -> Any:
    """Return what a command of `secagg` says with --json."""
    ended = run(folder, *SECAGG, *arguments, "--json")
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the schemes of `foreign.py` and `cancelling.py`, installed, and beside them those of `weak.py`."""
    folder = tmp_path_factory.mktemp("site-packages")
    for name, file, schemes in (
        ("foreign_schemes", "foreign.py", {"open": "Open", "mine": "Mine"}),
        ("cancelling", "cancelling.py", {"cancelling": "Cancelling"}),
        ("weak", "weak.py", {}),
    ):
        distribution(folder, name, (HERE / file).read_text(encoding="utf-8"), schemes)
    return folder


def test_it_is_simulated(installed: Path) -> None:
    mine, cancelling, unprotected = answers(
        installed,
        "simulate --scheme mine --clients 6 --drop 0.2 --adversary active",
        "simulate --scheme cancelling --clients 6 --drop 0",
        "simulate --scheme open --clients 6 --drop 0.2",
    )
    assert (mine["scheme"], mine["adversary"], mine["exact"], mine["survivors"]) == ("mine", "active", True, 5)
    assert mine["ratio"]["client"] is not None  # it counts the work that it cannot avoid
    assert (cancelling["scheme"], cancelling["exact"], cancelling["survivors"]) == ("cancelling", True, 6)
    assert (unprotected["adversary"], unprotected["exact"], unprotected["ratio"]["client"]) == ("none", True, None)


def test_it_trains_and_the_report_says_what_protects(installed: Path) -> None:
    pytest.importorskip("torch")
    mine, unprotected = answers(
        installed, "train --scheme mine --rounds 1 --no-dp", "train --scheme open --rounds 1 --no-dp"
    )
    assert (mine["scheme"], mine["adversary"]) == ("mine", "active")
    assert not any("hides" in warning for warning in mine["warnings"])
    assert unprotected["adversary"] == "none"
    exposed = "The scheme is open: the server sees every single update"
    assert any(exposed in warning for warning in unprotected["warnings"])


def test_its_cost_is_measured(installed: Path) -> None:
    pytest.importorskip("matplotlib")
    program = """
import json, sys
from pathlib import Path
from secagg_bench.cases import Case, Grid, Sweep, Table, grid_of
from secagg_bench.cli import Files, run

case = {name: Case(name, "semi-honest", 6, 50, 0.2, 0) for name in ("open", "mine")}
grid = Grid("quick", (Table("both", "", tuple(case.values())),), (Sweep("clients", "", tuple(case.values())),))
run(grid, Files(Path("out"), None), resume=False, as_json=True)
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
    names = ("cancelling", "mine", "open")  # the first is made without a threshold
    only = [word for name in names for word in ("--only", name)]
    rows = {
        row["name"]: row["status"]
        for row in answer(installed, "bench", "schemes", *only, "--clients", "5", "--length", "100")["schemes"]
    }
    assert {name: rows[name] for name in names} == dict.fromkeys(names, "measured")


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


def test_every_party_of_it_records_what_was_opened(installed: Path, tmp_path: Path) -> None:
    told = ("--clients", "5", "--length", "10", "--drop", "0.2", "--audit", str(tmp_path / "records"))
    answer(installed, "simulate", "--scheme", "mine", *told)
    opened = {}
    for log in (tmp_path / "records").glob("*.jsonl"):
        record = json.loads(log.read_text(encoding="utf-8").splitlines()[-1])["record"]
        if record["stage"] == "ended":
            opened[log.stem] = record["opened"]
    assert len(opened) == 1 + 4  # the server, and those who did not vanish
    for said in opened.values():
        assert (len(said["mask_keys"]), len(said["self_mask_seeds"])) == (1, 4)
        assert said == opened["server"]


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


# --- the suite, as its author runs it

HONEST = """
from cancelling import Cancelling
from secagg.conformance import Case
from secagg.conformance.suite import *

CASES = [Case("cancelling", Cancelling)]
"""

DEALING = """
from foreign_schemes import Mine
from secagg.conformance import Case
from secagg.conformance.bonawitz import *

CASES = [Case("mine", Mine)]
"""

PLANTED = """
import weak
from secagg.conformance import Case
from secagg.conformance.suite import *

kinds = (weak.WrongSums, weak.AnswersTwice, weak.AnySession, weak.HidesNothing, weak.SaysTooLittle, weak.Cancelling)
CASES = [Case(kind.name, kind) for kind in kinds]
"""

FAULTS = {
    "wrong-sums": "test_sum_is_exact_for_every_small_number_of_participants",
    "answers-twice": "test_a_repeated_round_is_refused_by_everyone_who_answered",
    "any-session": "test_messages_of_a_foreign_session_are_refused",
    "hides-nothing": "test_a_masked_vector_shows_nothing_of_its_value",
    "says-too-little": "test_what_it_says_of_itself_is_whole_and_without_contradiction",
}
"""Scheme → the test that its fault must make fail."""


def suite_run(folder: Path, name: str, source: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Run pytest on one test file of the package."""
    file = folder / f"{name}.py"
    file.write_text(source, encoding="utf-8")
    return run(folder, sys.executable, "-m", "pytest", file.name, "-q", "-rfEs", "-p", "no:cacheprovider", *options)


def test_a_scheme_of_another_shape_passes_the_suite_and_the_attacks(installed: Path) -> None:
    """What is left out is left out for what it cannot do, and says so."""
    ended = suite_run(installed, "test_honest", HONEST)
    assert ended.returncode == 0, ended.stdout
    counts = dict(reversed(found) for found in re.findall(r"(\d+) (passed|skipped)", ended.stdout.splitlines()[-1]))
    assert int(counts["passed"]) > 2 * int(counts["skipped"]), counts
    reasons = {line.rpartition(": ")[2] for line in ended.stdout.splitlines() if line.startswith("SKIPPED")}
    cannot = {it.lacking for it in vars(capability).values() if isinstance(it, capability.Capability)}
    assert reasons <= cannot | {"two are needed whatever is asked for"}, reasons - cannot


def test_a_scheme_that_speaks_the_messages_of_bonawitz_is_attacked_in_them(installed: Path) -> None:
    ended = suite_run(installed, "test_dealing", DEALING)
    assert ended.returncode == 0, ended.stdout
    assert capability.BONAWITZ_MESSAGES.lacking not in ended.stdout


def test_every_planted_fault_makes_the_suite_fail_where_it_should(installed: Path) -> None:
    ended = suite_run(installed, "test_planted", PLANTED, "-k", " or ".join(FAULTS.values()))
    assert ended.returncode == 1, ended.stdout
    for name, test in FAULTS.items():
        assert f"FAILED test_planted.py::{test}[{name}" in ended.stdout, ended.stdout
    assert "[cancelling" not in ended.stdout  # the one that they were made from passes


def test_what_fails_is_told_in_full(installed: Path) -> None:
    """Values, not a bare AssertionError: the suite's asserts are rewritten wherever it is installed."""
    ended = suite_run(installed, "test_told", PLANTED, "-k", "test_sum_is_exact_for_every_small and wrong-sums and 3")
    assert "At index 0 diff: " in ended.stdout, ended.stdout


def test_a_test_file_without_cases_is_an_error_and_no_success(installed: Path) -> None:
    ended = suite_run(installed, "test_forgotten", "from secagg.conformance.suite import *\n", "-k", "leakage")
    assert ended.returncode not in (0, 5)
    assert "say CASES = [Case(name, scheme), …]" in ended.stdout + ended.stderr


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


def test_a_scheme_that_declares_less_than_it_opens_is_refused_by_name(tmp_path: Path) -> None:
    source = (HERE / "foreign.py").read_text(encoding="utf-8")
    less = source.replace('frozenset({"self_mask_seeds", "mask_keys"})', 'frozenset({"self_mask_seeds"})')
    assert less != source
    distribution(tmp_path, "modest", less, {"mine": "Mine"})
    error = refused(tmp_path)
    assert "scheme 'mine', of the package modest, is refused: mine opens 'mask_keys'" in error


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
