"""A codec of another package under Flower: one registration on both sides, and no line of the adapter knows of it."""

import numpy as np
import pytest

flwr = pytest.importorskip("flwr", reason="Flower is not installed: pip install -c constraints.txt -e '.[flower]'")

from flwr.serverapp.strategy import FedAvg  # noqa: E402

from secagg.adapters.flower import SecAgg  # noqa: E402
from secagg.codec import kinds  # noqa: E402

NODES = range(101, 106)


def fedavg() -> FedAvg:
    return FedAvg(min_train_nodes=1, min_available_nodes=1, fraction_evaluate=0.0)


def votes_of(bench, node: int) -> dict[str, np.ndarray]:
    before, after = bench.model(), bench.plain_average(fedavg(), {node})[0]
    return {name: np.sign(after[name] - before[name]) for name in before}


@pytest.mark.usefixtures("signs")
def test_a_round_by_votes(federation, bench):
    said, grid = {"secagg-codec": "signs", "secagg-step": 0.01}, federation(5)
    for node in grid.nodes.values():
        node.run_config = said
    strategy = SecAgg.from_config(fedavg(), said)
    strategy.summary()
    result, _ = bench.one_round(strategy, grid)
    assert result is not None, strategy.stopped
    after = bench.arrays_in(result)
    for name, before in bench.model().items():
        mean = 0.01 * np.mean([votes_of(bench, node)[name] for node in NODES], axis=0)
        np.testing.assert_allclose(after[name], before + mean, atol=1e-6)
    assert strategy.influence.anywhere == 0.01


@pytest.mark.usefixtures("signs")
def test_a_node_without_the_codec_gives_no_vector_and_says_what_it_knows(federation, bench, monkeypatch):
    strategy, grid = SecAgg(fedavg(), codec="signs", step=0.01), federation(5)
    known = {name: terms for name, terms in kinds._KNOWN.items() if name != "signs"}
    handle = type(next(iter(grid.nodes.values()))).handle
    errors = []

    def without_it(node, message):
        with monkeypatch.context() as elsewhere:
            elsewhere.setattr(kinds, "_KNOWN", known)
            reply = handle(node, message)
        errors.append(reply.error.reason if reply.has_error() else "")
        return reply

    monkeypatch.setattr(type(next(iter(grid.nodes.values()))), "handle", without_it)
    assert bench.one_round(strategy, grid)[0] is None
    said = {reason for reason in errors if reason}
    assert len(said) == 1
    assert (
        "the codec 'signs' (version 3) is unknown; this side knows calibration (version 1), mean (version 2)"
        in said.pop()
    )
    assert not any(node.has_trained for node in grid.nodes.values())
    assert strategy.stopped is None  # nobody has shown anything of its update
