"""`secagg bench overhead` along axes of the user's own, and along those of a paper's figures."""

import csv
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from secagg.cli import main
from secagg_bench import cli, figures, overhead
from secagg_bench.cases import CCS17_AXES, Axes, Case, grid_of_axes, published

Bench = Callable[..., tuple[int, str, str]]


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Bench:
    """Return a callable that runs the command: exit code, stdout, stderr."""
    monkeypatch.setattr(cli, "WARM_UP", Case("bonawitz", "semi-honest", 3, 1, 0, 0))
    fast = overhead.roofline.Costs(1e-5, 1e-10, 1e-5, 1e-5, 1e-9)
    monkeypatch.setattr(overhead.roofline, "measure", lambda scheme: fast)

    def run(*arguments: object) -> tuple[int, str, str]:
        words = ["secagg", "bench", "overhead", "--out", str(tmp_path), *map(str, arguments)]
        monkeypatch.setattr(sys, "argv", words)
        with pytest.raises(SystemExit) as left:
            main()
        code: Any = left.value.code
        return (code or 0, *capsys.readouterr())

    return run


def test_each_axis_is_swept_alone_and_dropouts_are_lines(bench: Bench, tmp_path: Path) -> None:
    table = tmp_path / "costs.csv"
    axes = ["--clients", 6, "--clients", 9, "--length", 40, "--length", 80, "--drop", 0, "--drop", 0.2]
    code, out, err = bench(*axes, "--bits", 20, "--csv", table, "--json")
    assert code == 0, err
    found = json.loads(out)
    sizes = {(row["case"]["clients"], row["case"]["length"]) for row in found["tables"][0]["rows"]}
    assert sizes == {(6, 40), (9, 40), (6, 80)}
    assert [sweep["axis"] for sweep in found["growth"]] == ["clients", "length", "drop"]
    assert {row["case"]["bits"] for row in found["tables"][0]["rows"]} == {20}
    with table.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(found["tables"][0]["rows"]) == 12  # three sizes, two fractions, two servers
    assert all(float(row["client_ms.total"]) > 0 and row["max_abs_error"] == "0" for row in rows)
    page = (tmp_path / "overhead.html").read_text(encoding="utf-8")
    assert page.count("<svg") == 3
    for shown in ("client, CPU ms", "server, CPU ms", "upload of one client, kB", "bonawitz, active, 20% drop out"):
        assert shown in page


def test_the_lines_of_a_figure_are_schemes_and_their_dropouts() -> None:
    grid = grid_of_axes(["bonawitz"], CCS17_AXES)
    along_n, along_d, along_drops = grid.sweeps
    assert {case.length for case in along_n.cases} == {100_000}
    assert {case.clients for case in along_d.cases} == {500}
    assert {(case.clients, case.length) for case in along_drops.cases} == {(500, 100_000)}
    lines = figures.by_drop(along_n, "bonawitz", "semi-honest")
    assert list(lines) == [0.0, 0.1, 0.2, 0.3]
    assert [case.clients for case in lines[0.1]] == [100, 200, 300, 400, 500]
    assert list(figures.by_drop(along_drops, "bonawitz", "active")) == [None]
    assert any(published(case) for case in grid.cases)


def test_a_paper_s_figure_stands_beside_its_own_width_only() -> None:
    wide = grid_of_axes(["bonawitz"], Axes(clients=(500,), length=(100_000,), drop=(0.0,), bits=24))
    assert not any(published(case) for case in wide.cases)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--quick", "--clients", 5], "--quick"),
        (["--clients", 10, "--drop", 1], "--drop"),
        (["--clients", 3, "--length", 10**12], "--length 1000000000000 for 3 participants needs at least"),
        (["--scheme", "secagg-plus", "--clients", 4], "no sparse graph"),
        (["--bits", 64], "--bits"),
    ],
)
def test_what_cannot_be_measured_is_refused_before_anything_is(
    bench: Bench, tmp_path: Path, arguments: list[object], says: str
) -> None:
    code, _, err = bench(*arguments)
    assert code == 2
    assert says in err
    assert len(re.findall("\n", err)) == 1
    assert list(tmp_path.iterdir()) == []
