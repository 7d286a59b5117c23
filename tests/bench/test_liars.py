"""`secagg bench liars` plays every mix against the real server, and says which bound is broken."""

import json

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from secagg_bench.liars import measure
from secagg_bench.liars.command import run_liars
from secagg_bench.liars.measure import SCHEMES, close, rows_of
from secagg_bench.liars.mixes import MIXES, Script, bad_dealers, half_in_concert, nobody
from secagg_bench.liars.stage import real, short
from secagg_protocols.primitives import repair

app = typer.Typer()
app.command()(run_liars)


def still(done: int, total: int, text: str) -> None:
    """Move no bar."""


def stage_of(name, clients, prepare, bad=None):
    scheme = SCHEMES[name](clients, 30)
    vectors = np.random.default_rng(0).integers(0, 1 << 16, (clients, 30))
    return prepare(scheme, lambda one: vectors[one - 1], bad or {}, still)


@pytest.mark.parametrize("name", sorted(SCHEMES.keys() - {"threshold-ckks"}))
def test_a_shortened_round_ends_as_a_whole_one_does(name):
    for prepare in (short, real):
        stage = stage_of(name, 10, prepare)
        for play in (nobody, half_in_concert):
            lie = play(Script(stage))
            ended = close(stage, lie.answers)
            np.testing.assert_array_equal(ended.total, stage.total)
            assert {holder for holder, _ in ended.corrections} == lie.liars


@pytest.mark.parametrize("name", ["bonawitz", "bonawitz-active", "secagg-plus"])
def test_bad_dealers_are_found_out(name):
    stage = stage_of(name, 20, short, bad_dealers(20, 9))
    ended = close(stage, nobody(Script(stage)).answers)
    np.testing.assert_array_equal(ended.total, stage.total)
    if name != "secagg-plus":  # whom a dealer spoils may be none of its few neighbours
        assert ended.corrections
    if name == "bonawitz-active":
        assert set().union(*(culprits for _, culprits in ended.corrections)) == stage.bad.keys()


def test_the_command_plays_every_mix_and_prints_one_object():
    said = CliRunner().invoke(app, ["--clients", "10", "--length", "40", "--json"])
    assert said.exit_code == 0, said.output
    found = json.loads(said.stdout)
    assert {row["scheme"] for row in found["rows"]} == set(SCHEMES)
    assert {row["mix"] for row in found["rows"] if row["scheme"] == "bonawitz"} == {mix.name for mix in MIXES}
    assert found["broken"] == 0
    assert all(row["exact"] for row in found["rows"] if row["scheme"] == "bonawitz-active" and "bad" not in row["mix"])


def test_a_broken_bound_ends_the_command_with_1(monkeypatch):
    monkeypatch.setattr(measure, "LEAST_S", 0.0)
    monkeypatch.setattr(measure, "TIMES", 0.0)
    said = CliRunner().invoke(app, ["--clients", "8", "--scheme", "bonawitz", "--length", "10"], terminal_width=200)
    assert said.exit_code == 1
    assert "took too long" in " ".join(said.output.split())


def test_without_the_comparison_with_what_is_signed_it_sees_that_honest_participants_are_named(monkeypatch):
    monkeypatch.setattr(repair.Repair, "_signed_others", lambda self, case, rows: [False] * len(rows))
    rows = {row.mix: row.broken for row in rows_of("bonawitz-active", 10, 20, still)}
    assert "named honest participants alone" in rows["half in concert"]


def test_a_scheme_that_is_none_is_refused():
    assert CliRunner().invoke(app, ["--scheme", "sealed-envelopes"]).exit_code == 2
