"""`secagg simulate --noise`: the sum has the noise that was asked for, and other noise is not taken for it."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import secagg
from secagg.cli import simulated_noise
from secagg.cli.simulated_noise import NoiseFound
from secagg.cli.workload import Workload
from secagg.privacy.measured import standard_errors
from secagg_protocols import Output
from secagg_protocols.core.noise import Noise

Command = Callable[..., Any]  # tests/cli/conftest.py

SHAPE = ("--clients", 10, "--length", 4000, "--bits", 12, "--noise", 50.6)


@pytest.mark.parametrize(
    ("scheme", "further"),
    [
        ("bonawitz", ("--drop", 0.2, "--tolerated", 3)),
        ("bonawitz", ("--drop", 0.1, "--adversary", "active", "--colluders", 1)),
        ("bonawitz", ("--drop", 0.2, "--drop-at", "Unmasking")),
        ("lightsecagg", ("--drop", 0.2)),
        ("plain", ()),
    ],
)
def test_the_sum_has_the_noise_that_was_asked_for(
    secagg_command: Command, scheme: str, further: tuple[object, ...]
) -> None:
    ended = secagg_command("simulate", "--scheme", scheme, *SHAPE, *further, "--json")
    assert ended.code == 0, ended.stderr
    result = ended.json()
    assert not result["exact"]
    assert result["noise"].startswith("variance=2560.36 ")
    assert abs(standard_errors(result["noise_ratio"], 4000)) < 5
    assert "the variance promised" in ended.stderr


def test_wrong_noise_leaves_with_1_and_one_line(secagg_command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simulated_noise, "MOST_STANDARD_ERRORS", 0)
    ended = secagg_command("simulate", "--clients", 5, "--length", 20, "--noise", 50)
    assert ended.code == 1
    assert "the sum has noise of" in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


def test_without_noise_there_is_no_ratio(secagg_command: Command) -> None:
    result = secagg_command("simulate", "--clients", 5, "--length", 20, "--json").json()
    assert result["noise"] is None
    assert result["noise_ratio"] is None


@pytest.mark.parametrize(("times", "right"), [(1.0, True), (0.9, False), (0.5, False), (1.1, False)])
def test_other_noise_is_seen(times: float, right: bool) -> None:
    noise = Noise("2560", 2)
    scheme = secagg.Plain(10, 4000, noise=noise)
    workload = Workload(1, 10, 4000, 16, 2 * scheme.domain.noise_bound)
    run = secagg.simulate(scheme, workload.vector)
    plain = sum(workload.vector(who).astype(np.int64) for who in run.survivors)
    changed = plain + np.rint((run.total - plain) * times).astype(np.int64)
    found = NoiseFound.of(scheme, workload, Output(changed.view(np.uint64), run.survivors, signed=True))
    assert found is not None
    assert found.right == right, found


@pytest.mark.parametrize(
    ("further", "why"),
    [
        (("--noise", 5), "variance=25 (--noise)"),
        (("--noise", 0), "variance=0.000000000 (--noise)"),
        (("--noise", -3), "--noise"),
        (("--tolerated", 2), "give --noise too"),
        (("--noise", 50, "--tolerated", 9), "lower --tolerated"),
    ],
)
def test_noise_that_cannot_be_is_refused_in_one_line(
    secagg_command: Command, further: tuple[object, ...], why: str
) -> None:
    ended = secagg_command("simulate", *further)
    assert ended.code == 2
    assert why in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


@pytest.mark.parametrize("count", [4, 20, 100_000])
def test_standard_errors_are_those_of_a_normal_variable_for_few_values_too(count: int) -> None:
    squares = np.random.default_rng(count).chisquare(count, 20_000) / count
    off = np.array([standard_errors(ratio, count) for ratio in squares.tolist()])
    assert abs(off.mean()) < 0.04
    assert abs(off.std() - 1) < 0.04
    assert 0.0005 < np.mean(np.abs(off) > 3) < 0.005
