"""Clips under Flower: one for each array, and a round that proposes them, after which a person decides."""

from logging import WARNING

import numpy as np
import pytest

flwr = pytest.importorskip("flwr", reason="Flower is not installed: pip install -c constraints.txt -e '.[flower]'")

from flwr.serverapp.strategy import FedAvg  # noqa: E402

from secagg.adapters.flower import SecAgg  # noqa: E402
from secagg.round import knobs_of  # noqa: E402

BATCH_NORM = {"weight": np.full((3, 4), 0.5, np.float32), "running_var": np.ones(6, np.float32)}
CONFIG = {"secagg-weight-max": 200, "secagg-metrics": "clipped-share:0:1"}


def trained(node, arrays):
    """Weights move by hundredths, the running variance by hundreds."""
    draw = np.random.default_rng(node)
    moved = {"weight": 0.02 * draw.uniform(-1, 1, (3, 4)), "running_var": 500 + 10 * draw.uniform(-1, 1, 6)}
    return {name: (values + moved[name]).astype(values.dtype) for name, values in arrays.items()}


def strategy(clip):
    return SecAgg(FedAvg(fraction_evaluate=0.0), **knobs_of({**CONFIG, "secagg-clip": clip}))


@pytest.fixture
def grid(federation, bench):
    return federation(4, app=bench.train_app(training=trained))


def test_the_clips_of_a_round_are_proposed_and_pinned_by_their_text(grid, bench, caplog):
    start = bench.record(BATCH_NORM)
    first = strategy("calibrate")
    assert bench.one_round(first, grid, 1, start) == (None, None)
    text = first.proposed_clips.text
    assert first.proposed_clips.clips == {"running_var": 512.0, "weight": 0.03125}
    assert f'clip = "{text}"' in caplog.text
    assert f"pin them and start again: clip={text!r}" in first.stopped
    assert bench.one_round(first, grid, 2, start) == (None, None)
    assert grid.nodes[101].has_trained

    pinned = strategy(text)
    caplog.clear()
    held, metrics = bench.one_round(pinned, grid, 3, start)
    weights = np.array([bench.weight_of(node) for node in grid.nodes]) / sum(map(bench.weight_of, grid.nodes))
    updates = [trained(node, BATCH_NORM) for node in grid.nodes]
    for name, values in bench.arrays_in(held).items():
        exact = sum(weight * one[name].astype(np.float64) for weight, one in zip(weights, updates, strict=True))
        assert np.abs(values - exact).max() <= 1e-4 * first.proposed_clips.clips[name], name
    assert metrics["clipped-share"] == 0
    assert not [record for record in caplog.records if "clipped" in record.message and record.levelno >= WARNING]


def test_arrays_that_are_cut_are_named_at_the_node_and_their_share_is_in_the_sum(grid, bench, caplog):
    _, metrics = bench.one_round(strategy(8.0), grid, 1, bench.record(BATCH_NORM))
    assert "out of range and clipped: 6 of 6 values of running_var (knob: clip)" in caplog.text
    assert metrics["clipped-share"] == pytest.approx(6 / 18, abs=1e-5)


def test_nodes_that_refuse_to_calibrate_are_asked_for_nothing(federation, bench, caplog):
    grid = federation(4, {"secagg-codecs": "mean"}, bench.train_app(training=trained))
    first = strategy("calibrate")
    assert bench.one_round(first, grid, 1, bench.record(BATCH_NORM)) == (None, None)
    assert first.proposed_clips is None
    assert "this node makes vectors by mean (secagg-codecs)" in caplog.text
    assert not any(node.has_trained for node in grid.nodes.values())
