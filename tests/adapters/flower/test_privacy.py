"""Differential privacy for institutions under Flower: planned by the server, kept to by every node for itself."""

import json
import logging

import numpy as np
import pytest

pytest.importorskip("flwr")
dp_accounting = pytest.importorskip("dp_accounting")

from flwr.app import ConfigRecord  # noqa: E402
from flwr.serverapp.strategy import FedAvg  # noqa: E402

from secagg.adapters.flower import SecAgg  # noqa: E402
from secagg.privacy.views import COLLUDING, FELLOW, RELEASED  # noqa: E402
from secagg.round import TrainingFailed, audit  # noqa: E402
from secagg_he import BudgetSpent  # noqa: E402
from secagg_protocols import Identity, ParameterError  # noqa: E402

EPSILON, DELTA, ROUNDS, CLIP = 8.0, 1e-3, 2, 1.0
WANTED = {"dp_epsilon": EPSILON, "dp_delta": DELTA, "dp_rounds": ROUNDS, "dp_clip": CLIP, "dp_tolerated": 1}


def fedavg() -> FedAvg:
    return FedAvg(min_train_nodes=1, min_available_nodes=1, fraction_evaluate=0.0)


def keeping_a_budget(folder, epsilon):
    """node_config of nodes that each keep a budget."""

    def config(own):
        identity = folder / f"{own}.identity"
        Identity.generate(f"party {own}").save(identity)
        keys = {"identity": str(identity), "dp-ledger": str(folder / f"{own}.privacy"), "dp-epsilon": epsilon}
        return {f"secagg-{key}": value for key, value in keys.items()} | {"secagg-dp-delta": DELTA}

    return config


def records(path):
    return [json.loads(line)["record"] for line in path.read_text().splitlines()]


def test_the_planned_rounds_are_run_and_no_further_one(federation, bench, caplog):
    strategy, grid = SecAgg(fedavg(), **WANTED), federation(5)
    arrays, seen = bench.record(bench.model()), []
    for number in (1, 2):
        arrays, metrics = bench.one_round(strategy, grid, number, arrays)
        seen.append(metrics["epsilon-server-with-colluders"])
        assert metrics["epsilon-fellow-participant"] >= metrics["epsilon-released-model"] > 0
    assert seen[0] < seen[1] <= EPSILON < seen[1] * 1.001
    with caplog.at_level(logging.INFO, "flwr"):
        assert bench.one_round(strategy, grid, 3, arrays) == (None, None)
    assert strategy.stopped.startswith("the privacy budget is spent: ε at δ=0.001 after 2 rounds: released model ")
    with pytest.raises(TrainingFailed, match=r"2 of 3 rounds gave a model: the privacy budget is spent"):
        strategy.training.check()


def test_the_mean_is_the_plain_one_of_clipped_updates_and_noise(federation, bench):
    strategy, grid = SecAgg(fedavg(), **WANTED), federation(5)
    grid.begin(lambda node, count: node == 102)
    before = bench.model()
    result, _ = bench.one_round(strategy, grid)
    updates = []
    for node in (101, 103, 104, 105):
        after, _ = bench.plain_average(fedavg(), [node])
        updates.append(np.concatenate([(after[name] - before[name]).ravel() for name in sorted(before)]))
    clipped = [update * min(1, CLIP / np.linalg.norm(update)) for update in updates]
    held = bench.arrays_in(result)
    got = np.concatenate([(held[name] - before[name]).ravel() for name in sorted(before)])
    noise = got - np.mean(clipped, axis=0)
    charge = strategy.training.spending.charges[-1]
    assert charge.dropouts == 1
    deviation = charge.multiplier * CLIP / 4  # what the plan says of a mean over four
    assert 0 < np.abs(noise).max() < 6 * deviation


def test_an_update_that_is_not_finite_counts_as_zero_and_its_node_is_in_the_sum(federation, bench):
    def diverged(node, arrays):
        return {name: values * np.nan for name, values in arrays.items()}

    strategy, grid = SecAgg(fedavg(), **WANTED), federation(5, app=bench.train_app(training=diverged))
    before = bench.model()
    result, _ = bench.one_round(strategy, grid)
    assert strategy.training.spending.charges[-1].dropouts == 0
    deviation = strategy.training.spending.charges[-1].multiplier * CLIP / 5
    held = bench.arrays_in(result)
    assert 0 < max(np.abs(held[name] - before[name]).max() for name in before) < 6 * deviation


def test_what_was_really_there_is_counted_and_written_down(federation, bench, tmp_path):
    identity = Identity.generate("server")
    path = tmp_path / "server.jsonl"
    identity.save(tmp_path / "identity")
    strategy = SecAgg(fedavg(), **WANTED, identity=str(tmp_path / "identity"), audit=str(path))
    grid = federation(5)
    grid.begin(lambda node, count: node == 102)
    arrays, _ = bench.one_round(strategy, grid)
    grid.begin(lambda node, count: count >= 2)  # all vanish when their vectors have come
    bench.one_round(strategy, grid, 2, arrays)
    first, second = (line.record for line in audit.verify(path, identity.public_key))
    assert (first["survivors"], first["delta"]) == ([1, 3, 4, 5], DELTA)
    assert set(first["epsilon"]) >= {COLLUDING, FELLOW, RELEASED}
    assert 0 < first["epsilon"][COLLUDING] < second["epsilon"][COLLUDING] <= EPSILON
    assert second["failure"]


def test_a_node_counts_itself_and_a_further_run_gets_no_more_of_it(federation, bench, tmp_path):
    grid = federation(5, keeping_a_budget(tmp_path, EPSILON))
    strategy = SecAgg(fedavg(), **WANTED)
    arrays = bench.record(bench.model())
    for number in (1, 2):
        arrays, _ = bench.one_round(strategy, grid, number, arrays)
    for own in range(1, 6):
        rows = records(tmp_path / f"{own}.privacy")
        together = sum(row["multiplier"] ** -2 for row in rows) ** -0.5
        assert len(rows) == 2
        assert rows[-1]["epsilon"] == pytest.approx(dp_accounting.get_epsilon_gaussian(together, DELTA), rel=1e-6)
        assert rows[-1]["epsilon"] <= EPSILON
    again = SecAgg(fedavg(), **WANTED)  # a server that has forgotten what it knew
    assert bench.one_round(again, grid, 3, arrays) == (None, None)
    assert "BudgetSpent: round 3" in again.training.last_failure
    assert len(records(tmp_path / "1.privacy")) == 2


def test_a_server_made_again_goes_on_from_what_was_spent(federation, bench, tmp_path):
    Identity.generate("server").save(tmp_path / "identity")
    kept = {**WANTED, "identity": str(tmp_path / "identity"), "dp_ledger": str(tmp_path / "ledger")}
    grid, arrays = federation(5), bench.record(bench.model())
    arrays, first = bench.one_round(SecAgg(fedavg(), **kept), grid, 1, arrays)
    killed = SecAgg(fedavg(), **kept)
    killed.configure_train(2, arrays, ConfigRecord(), grid)  # it asks for vectors, and nobody hears of it again
    again = SecAgg(fedavg(), **kept)
    assert again.training.epsilon[COLLUDING] > first["epsilon-server-with-colluders"]
    with pytest.raises(BudgetSpent, match="after 2 rounds"):
        bench.one_round(again, grid, 3, arrays)
    stages = [(row["round"], row["stage"]) for row in records(tmp_path / "ledger")]
    assert stages == [(1, "asked"), (1, "summed"), (2, "asked")]


def test_a_round_that_cannot_be_written_down_is_asked_of_nobody(federation, bench, tmp_path):
    Identity.generate("server").save(tmp_path / "identity")
    path = tmp_path / "ledger"
    strategy = SecAgg(fedavg(), **WANTED, identity=str(tmp_path / "identity"), dp_ledger=str(path))
    path.write_text("somebody else writes here")
    grid = federation(5)
    assert bench.one_round(strategy, grid) == (None, None)
    assert not any(node.has_trained for node in grid.nodes.values())
    assert "somebody else writes to it too" in strategy.training.last_failure
    assert strategy.training.epsilon[COLLUDING] == 0


@pytest.mark.parametrize(("floor", "joins"), [(0.5, True), (50.0, False)])
def test_a_node_that_wants_more_noise_is_missing(federation, bench, floor, joins):
    strategy = SecAgg(fedavg(), **WANTED)
    grid = federation(5, lambda own: {"secagg-dp-minimum-multiplier": floor} if own == 2 else {})
    bench.one_round(strategy, grid)
    assert strategy.training.spending.charges[-1].dropouts == (0 if joins else 1)


def test_a_node_with_a_floor_takes_no_part_in_a_sum_without_noise(federation, bench):
    strategy = SecAgg(fedavg(), clip=8.0, weight_max=100)
    result, _ = bench.one_round(strategy, federation(5, {"secagg-dp-minimum-multiplier": 0.5}))
    assert result is None
    assert "no noise under its sum" in strategy.training.last_failure


def test_colluders_are_planned_for_where_no_noise_is_taken_off_again_as_well(federation, bench):
    strategy = SecAgg(fedavg(), "lightsecagg", **WANTED, dp_colluders=1)
    _, metrics = bench.one_round(strategy, federation(5))
    assert metrics["epsilon-server"] < metrics["epsilon-server-with-colluders"] < EPSILON


def test_the_keys_of_the_apps_configuration_say_the_same(federation, bench):
    config = {"secagg-dp-epsilon": 8, "secagg-dp-delta": DELTA, "secagg-dp-rounds": 2, "secagg-dp-clip": 1}
    config |= {"secagg-dp-tolerated": 1, "secagg-weight-max": 0, "secagg-metrics": ""}
    assert SecAgg.from_config(fedavg(), config).settings.codec == SecAgg(fedavg(), **WANTED).settings.codec


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"weight_max": 100}, r"weight_max=100 beside dp_epsilon: weights tell of data.*leave weight_max out"),
        ({"metrics": {"loss": (0, 1)}}, "no noise covers metrics: leave metrics out"),
        ({"clip": 8.0}, "give dp_clip instead of clip"),
        ({"noise": "variance=1"}, "leave noise out"),
        ({"dp_epsilon": 0}, "dp_epsilon=0 is not a positive number"),
        ({"dp_epsilon": 1000}, "dp_epsilon=1000.0 is not above 0 and at most 100"),
        ({"dp_delta": 0.4}, "dp_delta=0.4 is not above 0 and at most 0.001"),
        ({"dp_rounds": 0}, "dp_rounds=0 is not at least 1"),
        ({"dp_tolerated": -1}, "dp_tolerated=-1 is no whole number"),
        ({"dp_clip": "1"}, "dp_clip='1' is not a positive number"),
        ({"dp_ledger": "ledger"}, "dp_ledger needs identity: it is signed"),
        ({"dp_epsilons": 3}, "dp_epsilons is unknown; the knobs are dp_epsilon"),
    ],
)
def test_what_cannot_be_promised_is_refused_before_anything_is_sent(changed, reason):
    with pytest.raises(ParameterError, match=reason):
        SecAgg(fedavg(), **{**WANTED, **changed})


def test_a_ledger_without_a_budget_is_refused():
    with pytest.raises(ParameterError, match="dp_ledger=ledger without dp_epsilon"):
        SecAgg(fedavg(), clip=1.0, weight_max=0, dp_ledger="ledger")


def test_a_budget_that_is_not_whole_is_refused():
    with pytest.raises(ParameterError, match="dp_rounds is missing"):
        SecAgg(fedavg(), dp_epsilon=8.0, dp_delta=DELTA, dp_clip=1.0)


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"dp_tolerated": 4}, "leave fewer than 2 of participants=5"),
        ({"dp_value_bits": 3}, "is the least that works"),
    ],
)
def test_what_does_not_fit_the_nodes_that_are_asked_is_refused(federation, bench, changed, reason):
    with pytest.raises(ParameterError, match=reason):
        bench.one_round(SecAgg(fedavg(), **{**WANTED, **changed}), federation(5))
