"""`secagg bench privacy`: a claim that does not hold is seen, and ends the command with 1."""

import json
import math

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

import secagg
from secagg_bench.privacy import command
from secagg_bench.privacy.command import run_privacy
from secagg_bench.privacy.exactness import exactness, gaussian_delta
from secagg_bench.privacy.rounds import Sizes, dropouts, errors, left_over
from secagg_bench.privacy.rows import Row, variance_row
from secagg_bench.privacy.shares import Telling, WithShare
from secagg_bench.privacy.speed import chi_square
from secagg_bench.privacy.utility import figures
from secagg_protocols.core.noise import Noise

app = typer.Typer()
app.command()(run_privacy)
SMALL = Sizes(length=3000, rounds=1, sparse=500)


def test_every_claim_about_real_rounds_is_measured():
    rows = [*errors(SMALL), *dropouts(SMALL)]
    assert [row for row in rows if not row.held] == []
    assert sum("active" in row.what for row in rows) >= 6
    assert sum("openings" in row.what for row in rows) == 2


def test_exactness_holds_and_the_gaussian_s_delta_is_that_of_the_book():
    assert all(row.held for row in exactness())
    assert math.isclose(gaussian_delta(4.3772, 1.0), 1e-5, rel_tol=1e-3)


def test_samples_of_another_width_or_centre_are_seen():
    drawn = np.rint(np.random.default_rng(1).normal(0, 16, 200_000)).astype(np.int64)
    assert abs(chi_square(drawn, 0.0, math.sqrt(256 + 1 / 12))) < 4
    assert chi_square(drawn, 0.0, 16.5) > 4
    assert chi_square(drawn, 0.5, 16.0) > 4


def test_noise_left_is_held_against_what_honest_survivors_promise():
    scheme = WithShare(10, 20_000, kind=Telling, colluders=2, noise=Noise("2560", 3, 2))
    assert variance_row("", "", left_over(scheme, {4: "MaskedInput"}), 20_000).held
    secagg.simulate(scheme, lambda _: np.zeros(20_000, np.uint16), drop={4: "MaskedInput"})
    known = scheme.noise_share.known_of_last(2).astype(float)
    assert variance_row("", "", (known**2).mean() / 2 / scheme.noise_share.variance(1), 20_000).held


@pytest.mark.parametrize(
    ("row", "held", "bound"),
    [
        (Row("", "", 1.0, most=2.0), True, "≤ 2"),
        (Row("", "", 2.1, most=2.0), False, "≤ 2"),
        (Row("", "", 1.9, least=2.0), False, "≥ 2"),
        (Row("", "", math.nan, most=2.0), False, "≤ 2"),
        (Row("", "", 7.0), True, ""),
        (variance_row("", "", 1.05, 20_000), False, "0.96 … 1.04"),
    ],
)
def test_a_figure_beyond_its_bound_does_not_hold(row, held, bound):
    assert row.held == held
    assert row.bound == bound


@pytest.mark.parametrize(("auc", "broken"), [(0.98, 0), (0.96, 3), (0.89, 4)])
def test_what_shared_noise_may_cost_a_model_is_a_claim_and_worse_is_seen(auc, broken):
    """Three kinds of noise, three ε, two data sets, beside none: their means and spreads."""
    rows = list(figures(2, lambda configs: [0.98 if config.privacy.dp == "none" else auc for config in configs]))
    assert len(rows) == 2 * 2 * (1 + 3 * 3)
    assert sum(not row.held for row in rows) == broken
    assert all("ε = 1" in row.what or "institution, ε = 8" in row.what for row in rows if not row.held)


@pytest.mark.parametrize(("figure", "code"), [(1.0, 0), (3.0, 1)])
def test_the_command_ends_with_1_where_a_claim_is_broken(monkeypatch, tmp_path, figure, code):
    monkeypatch.setattr(command, "parts_of", lambda *_: [lambda: iter([Row("part", "what", figure, most=2.0)])])
    said = CliRunner().invoke(app, ["--quick", "--json", "--out", str(tmp_path)])
    assert said.exit_code == code, said.output
    found = json.loads(said.stdout)
    assert found["broken"] == code
    assert json.loads((tmp_path / "privacy.json").read_text()) == found
    assert ("BROKEN" in said.stderr) == bool(code)
