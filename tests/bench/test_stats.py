"""`secagg bench stats`: what is not equal is seen, and ends the command with 1."""

import json
import math

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

pytest.importorskip("lifelines")
pytest.importorskip("statsmodels")

from secagg_bench.privacy.rows import Row
from secagg_bench.stats import command
from secagg_bench.stats.command import run_stats
from secagg_bench.stats.counts import counts
from secagg_bench.stats.survival import apart

app = typer.Typer()
app.command()(run_stats)


def test_counts_are_equal_and_say_of_what():
    rows = list(counts())
    assert [row for row in rows if not row.held] == []
    assert len(rows) == 9


def test_a_difference_is_relative_and_one_from_nothing_is_infinitely_large():
    assert apart([1.0, 2.0], [1.0, 2.0]) == 0
    assert math.isclose(apart([1.0, 2.2], [1.0, 2.0]), 0.1)
    assert apart([1e-9], [0.0]) > 1e12
    assert not Row("", "", apart([np.nan], [1.0]), most=1.0).held


@pytest.mark.parametrize(("figure", "code"), [(1e-13, 0), (1e-3, 1)])
def test_a_claim_that_does_not_hold_ends_with_1(monkeypatch, figure, code):
    monkeypatch.setattr(command, "parts_of", lambda quick: [lambda: iter([Row("lung", "χ²", figure, most=1e-12)])])
    ended = CliRunner().invoke(app, ["--json"])
    assert ended.exit_code == code
    found = json.loads(ended.stdout)
    assert found["broken"] == code
    assert found["rows"][0]["most"] == 1e-12


def test_what_is_quick_is_a_part_of_the_whole():
    assert len(command.parts_of(quick=True)) == 3
    assert len(command.parts_of(quick=False)) == 11
