"""`secagg bench overhead`: every sum exact, results on disk and on the page, a long run resumable."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

import secagg
from secagg.cli import main
from secagg_bench import cli, overhead
from secagg_bench.cases import FULL, MEASURED, QUICK, Case, Grid, Sweep, Table, published
from secagg_protocols.errors import install_line

ROUNDS = {scheme: Case(scheme, adversary, 20, 50, 0.1, corrupt) for scheme, adversary, corrupt in reversed(MEASURED)}
TINY = Grid(
    "quick",
    (Table("Three rounds", "A note.", tuple(ROUNDS.values())),),
    (Sweep("clients", "50 values", (ROUNDS["bonawitz"],)),),
)
Bench = Callable[..., tuple[int, str, str]]


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Bench:
    """Return a callable that runs the command on a tiny grid: exit code, stdout, stderr."""
    monkeypatch.setattr(cli, "QUICK", TINY)
    monkeypatch.setattr(cli, "WARM_UP", ROUNDS["bonawitz"])
    fast = overhead.roofline.Costs(1e-5, 1e-10, 1e-5, 1e-5, 1e-9)
    monkeypatch.setattr(overhead.roofline, "measure", lambda scheme: fast)

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["secagg", "bench", "overhead", "--quick", "--out", str(tmp_path), *arguments])
        capsys.readouterr()
        code: Any = 0
        try:
            main()
        except SystemExit as left:
            code = left.code or 0
        return (code, *capsys.readouterr())

    return run


def never(case: Case) -> Any:
    raise AssertionError(f"measured again: {case}")


def test_a_grid_ends_as_json_and_as_one_page(bench: Bench, tmp_path: Path) -> None:
    code, _, _ = bench()
    assert code == 0
    found = json.loads((tmp_path / "overhead.json").read_text(encoding="utf-8"))
    rows = {row["case"]["scheme"]: row for row in found["tables"][0]["rows"]}
    assert rows.keys() == {"bonawitz", "secagg-plus", "lightsecagg"}
    assert found["exact"] is True
    for row in rows.values():
        assert (row["survivors"], row["dropped"], row["max_abs_error"], row["paper"]) == (18, 2, 0, None)
        assert set(row["server_ms"]) > {"MaskedInput", "Unmasking", "total"}
        assert row["upload_bytes"] > 100
        assert row["ratio"]["client"] is not None
    assert rows["lightsecagg"]["limit_ms"]["server"] is None
    assert rows["lightsecagg"]["ratio"]["server"] is None
    page = (tmp_path / "overhead.html").read_text(encoding="utf-8")
    assert page.count("<svg") == 1
    assert "Times depend on the machine" in page
    assert not re.search(r"<(script|link|img|iframe)\b|@import|url\(\s*['\"]?http", page)


def test_json_is_exactly_one_object(bench: Bench, tmp_path: Path) -> None:
    code, out, err = bench("--json")
    assert code == 0
    assert json.loads(out)["report"] == str(tmp_path / "overhead.html")
    assert "every sum exact" in err


def test_resume_skips_what_is_finished(bench: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    first = json.loads(bench("--json")[1])
    journal = tmp_path / "overhead.jsonl"
    assert len(journal.read_bytes().splitlines()) == len(TINY.cases)
    monkeypatch.setattr(cli, "measure", never)
    assert json.loads(bench("--json", "--resume")[1]) == first


def test_resume_measures_what_is_missing_or_of_another_version(bench: Bench, tmp_path: Path) -> None:
    bench()
    journal = tmp_path / "overhead.jsonl"
    old, kept, _ = journal.read_bytes().splitlines()
    other = json.dumps({**json.loads(old), "version": "0.0.1"}).encode()
    journal.write_bytes(other + b"\n" + kept + b"\n")
    assert bench("--resume")[0] == 0
    lines = journal.read_bytes().splitlines()
    assert lines[:2] == [other, kept]
    assert len(lines) == 4


def test_without_resume_a_run_begins_anew(bench: Bench, tmp_path: Path) -> None:
    journal = tmp_path / "overhead.jsonl"
    journal.write_bytes(b"anything\n")
    assert bench()[0] == 0
    assert len(journal.read_bytes().splitlines()) == len(TINY.cases)


@pytest.mark.parametrize("damage", [b"{\n", b'{"case": 1}\n', b"\xff\n", b"\n", b'{"case"'])
def test_a_damaged_file_is_refused_in_one_line(bench: Bench, tmp_path: Path, damage: bytes) -> None:
    bench()
    journal = tmp_path / "overhead.jsonl"
    good = journal.read_bytes()
    journal.write_bytes(good + damage)
    code, out, err = bench("--resume", "--json")
    assert code == 1
    assert json.loads(out)["kind"] == "InputError"
    assert err.count("\n") == 1
    assert f"line {len(TINY.cases) + 1}" in err
    assert journal.read_bytes() == good + damage


def test_a_wrong_sum_ends_the_benchmark(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    right = secagg.simulate

    def wrong(scheme: secagg.Scheme, vector: Callable[[int], Any], **options: Any) -> secagg.Run:
        return right(scheme, lambda participant: vector(participant) // 2, **options)

    monkeypatch.setattr(secagg, "simulate", wrong)
    code, _, err = bench()
    assert code == 1
    assert "the sum is wrong by up to" in err


def test_a_record_survives_its_encoding() -> None:
    cost = overhead.measure(ROUNDS["bonawitz"])
    assert msgspec.json.decode(msgspec.json.encode(cost), type=overhead.Cost) == cost
    assert cost.key == overhead.key_of(cost.case)


@pytest.mark.parametrize("grid", [QUICK, FULL], ids=lambda grid: grid.name)
def test_every_case_has_a_scheme_that_outlives_its_dropouts(grid: Grid) -> None:
    for case in grid.cases:
        assert case.build().quorum <= case.clients - round(case.drop * case.clients), case


def test_only_figures_with_a_source_stand_beside_ours() -> None:
    beside = {case: published(case) for case in FULL.cases if published(case) is not None}
    assert {(case.clients, case.drop) for case in beside} == {(n, p) for n in (500, 1000) for p in (0.0, 0.1, 0.3)}
    assert all((case.scheme, case.adversary) == ("bonawitz", "semi-honest") for case in beside)
    assert all(paper is not None and "as commonly cited" in paper.source for paper in beside.values())
    assert not [case for case in QUICK.cases if published(case)]


def test_a_missing_extra_is_named(tmp_path: Path) -> None:
    program = "import sys; sys.modules['jinja2'] = None; from secagg.cli import main; main()"
    command = [sys.executable, "-c", program, "bench", "overhead", "--quick", "--out", str(tmp_path / "out")]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert ended.stderr == f"secagg: jinja2 is not installed; in your clone of secagg: {install_line('bench')}\n"
    assert not (tmp_path / "out").exists()
