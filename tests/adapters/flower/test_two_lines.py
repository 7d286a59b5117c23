"""What goes wrong when secure aggregation is added to an app that knows nothing of it, and what is then said."""

import shutil
from pathlib import Path

import numpy as np
import pytest

flwr = pytest.importorskip("flwr", reason="Flower is not installed: pip install -c constraints.txt -e '.[flower]'")

from flwr.app import Array, ArrayRecord, Message, MetricRecord, RecordDict  # noqa: E402
from flwr.clientapp import ClientApp  # noqa: E402
from flwr.clientapp.mod import LocalDpMod  # noqa: E402
from flwr.common.config import get_fused_config_from_dir, get_project_dir  # noqa: E402
from flwr.serverapp import strategy as flower  # noqa: E402
from flwr.serverapp.strategy import FedAvg  # noqa: E402
from flwr.supercore.run import Run  # noqa: E402

from secagg.adapters.flower import SecAgg, secagg_mod  # noqa: E402
from secagg.round import TrainingFailed  # noqa: E402
from secagg_protocols import ParameterError  # noqa: E402

CODEC = {"clip": 8.0, "weight_max": 100}
CONFIG = {"batch-size": 16}


def fedavg(**knobs) -> FedAvg:
    return FedAvg(min_train_nodes=1, min_available_nodes=1, fraction_evaluate=0.0, **knobs)


def with_run_config(grid, config=CONFIG):
    for node in grid.nodes.values():
        node.run_config = dict(config)
    return grid


def reading_app(read):
    """A ClientApp whose trainer reads its run configuration first, and adds 1 to every value."""
    app = ClientApp(mods=[secagg_mod])

    @app.train()
    def train(msg, context):
        read(context.run_config)
        arrays = ArrayRecord({name: Array(array.numpy() + 1) for name, array in msg.content["arrays"].items()})
        return Message(RecordDict({"arrays": arrays, "metrics": MetricRecord({"num-examples": 1})}), reply_to=msg)

    return app


@pytest.fixture
def three_rounds(bench):
    def run(strategy, grid, rounds=3):
        return strategy.start(grid=grid, initial_arrays=bench.record(bench.model()), num_rounds=rounds)

    return run


@pytest.mark.parametrize(
    "read", [lambda config: config["batch-size"], lambda config: config.get("batch-size", 8)], ids=["key", "get"]
)
def test_a_trainer_that_reads_what_is_not_bound_is_told_how_to_bind_it(federation, three_rounds, caplog, read):
    grid = with_run_config(federation(5, app=reading_app(read)))
    strategy = SecAgg(fedavg(), **CODEC)
    with pytest.raises(
        TrainingFailed, match=r"0 of 3 rounds gave a model.*batch-size.*SecAgg\.from_config\(strategy, "
    ):
        three_rounds(strategy, grid)
    assert strategy.stopped is None
    assert len(grid.replies) == 3 * 3 * 5, "each round is run up to the vectors: nobody had answered"
    assert three_rounds(SecAgg.from_config(fedavg(), CONFIG, **CODEC), grid).arrays is not None


def test_a_default_for_what_is_in_no_configuration_is_the_trainers_own(federation, bench):
    grid = with_run_config(federation(5, app=reading_app(lambda config: 1 / config.get("epochs", 1))))
    assert bench.one_round(SecAgg(fedavg(), **CODEC), grid)[0] is not None


@pytest.fixture
def installed_run(tmp_path, monkeypatch):
    """A run of the quickstart app, installed as Flower does it, with one setting changed; and what its nodes get."""
    monkeypatch.setenv("FLWR_HOME", str(tmp_path))
    run = Run.create_empty(7)
    run.fab_id, run.fab_version, run.fab_hash = "secagg/quickstart", "1.0.0", "ab" * 32
    run.override_config = CONFIG
    folder = get_project_dir(run.fab_id, run.fab_version, run.fab_hash)
    shutil.copytree(Path(__file__).parent / "quickstart", folder)
    return run, get_fused_config_from_dir(folder, CONFIG)


def test_the_runs_configuration_is_bound_without_being_asked_for(federation, bench, installed_run, caplog):
    run, config = installed_run
    seen = []
    grid = with_run_config(federation(5, app=reading_app(seen.append)), config)
    grid.run = run
    grid.nodes[103].run_config["learning-rate"] = 9.0
    assert bench.one_round(SecAgg(fedavg(), **CODEC), grid)[0] is not None
    assert seen == 4 * [config]
    assert seen[0]["batch-size"] == CONFIG["batch-size"] != 32
    assert (
        "node 103 (participant 3) gave no answer: ProtocolViolation: the model and configuration are not" in caplog.text
    )


def test_after_a_round_without_one_vector_the_same_model_is_asked_about_again(federation, bench):
    broken = [True]

    def training(node, arrays):
        if broken[0]:
            raise RuntimeError("out of memory")
        return arrays

    strategy, grid = SecAgg(fedavg(), **CODEC), federation(5, app=bench.train_app(training=training))
    assert bench.one_round(strategy, grid, 1) == (None, None)
    broken[0] = False
    result, _ = bench.one_round(strategy, grid, 2)
    bench.assert_close(result, bench.model(), 1e-3)


def vanish_after_the_vectors(grid, number):
    """Let all but two nodes vanish when they are asked to unmask round `number`."""

    def evaluate(server_round, arrays):
        grid.begin(lambda node, count: server_round + 1 == number and node > 102 and count == 2)

    return evaluate


def test_a_training_that_stopped_raises_at_its_end_and_keeps_what_it_had(federation, bench):
    strategy, grid = SecAgg(fedavg(), **CODEC), federation(5)
    arguments = {"grid": grid, "initial_arrays": bench.record(bench.model()), "num_rounds": 4}
    with pytest.raises(TrainingFailed, match=r"1 of 2 rounds gave a model: round 2 failed after updates had been sent"):
        strategy.start(**arguments, evaluate_fn=vanish_after_the_vectors(grid, 2))
    expected, _ = bench.plain_average(fedavg(), range(101, 106))
    bench.assert_close(strategy.result.arrays, expected, 1e-3)


def test_a_training_without_a_model_returns_where_that_is_asked_for(federation, three_rounds):
    grid = federation(5, {"secagg-schemes": "bfv"})
    strategy = SecAgg.from_config(fedavg(), {"secagg-on-failure": "return"}, **CODEC)
    assert not three_rounds(strategy, grid).arrays
    with pytest.raises(ParameterError, match="on_failure='stop' is unknown; choose from raise, return"):
        SecAgg(fedavg(), **CODEC, on_failure="stop")


def test_two_nodes_as_flower_runs_are_counted_before_the_first_message_and_told_in_one_line(federation, three_rounds):
    grid = federation(2, {"secagg-minimum-cohort": 2})
    with pytest.raises(ParameterError, match="2 sites are sampled") as caught:
        three_rounds(SecAgg(fedavg(), **CODEC), grid)
    (line,) = str(caught.value).splitlines()
    assert "run more SuperNodes (--federation-config num-supernodes=10, not 2) or wait for them" in line
    assert "minimum_cohort here and secagg-minimum-cohort at every site" in line
    assert not grid.replies
    assert three_rounds(SecAgg(fedavg(), **CODEC, minimum_cohort=2), grid).arrays is not None


@pytest.mark.parametrize(
    ("config", "key"),
    [
        ({"secagg-minimum-cohort": 6}, "secagg-minimum-cohort"),
        ({"secagg-colluders": 4}, "secagg-colluders"),
        ({"secagg-schemes": "bfv"}, "secagg-schemes"),
    ],
)
def test_what_a_nodes_policy_refuses_names_its_key_at_the_end_of_the_training(federation, three_rounds, config, key):
    with pytest.raises(TrainingFailed, match=rf"node 105 .*{key}"):
        three_rounds(SecAgg(fedavg(), **CODEC), federation(5, config), 1)


@pytest.mark.parametrize(("metrics", "told"), [({}, 1), ({"train_loss": (0, 1)}, 0)])
def test_metrics_that_are_left_out_are_told_once_at_the_server(federation, three_rounds, caplog, metrics, told):
    caplog.set_level("WARNING")
    three_rounds(SecAgg(fedavg(), **CODEC, metrics=metrics), federation(5))
    said = [record.getMessage() for record in caplog.records if "train_loss" in record.getMessage()]
    assert len(said) == told
    assert all("agree on metrics={'train_loss': (0.0, 10.0)}" in line for line in said)


def test_a_metrics_function_of_ones_own_is_told_that_it_gets_one_mean(federation, bench, caplog):
    def mine(replies, weighted_by):
        assert len(replies) == 1
        return MetricRecord({"largest": max(reply["metrics"]["train_loss"] for reply in replies)})

    strategy = SecAgg(fedavg(train_metrics_aggr_fn=mine), **CODEC, metrics={"train_loss": (0, 1)})
    assert "train_metrics_aggr_fn of FedAvg gets one reply a round: the agreed metrics' mean" in caplog.text
    _, metrics = bench.one_round(strategy, federation(5))
    assert set(metrics) == {"largest"}


def test_a_mod_that_stands_before_ours_is_named_with_the_remedy(federation, bench, three_rounds):
    noise = LocalDpMod(1.0, 1.0, 1.0, 1e-5)
    grid = federation(5, app=bench.train_app(mods=[noise, secagg_mod]))
    with pytest.raises(TrainingFailed, match=r"LocalDpMod expects .* put secagg_mod first in ClientApp\(mods="):
        three_rounds(SecAgg(fedavg(), **CODEC), grid, 1)
    grid = federation(5, app=bench.train_app(mods=[secagg_mod, noise]))
    assert three_rounds(SecAgg(fedavg(), **CODEC), grid, 1).arrays is not None


def replying(content):
    app = ClientApp(mods=[secagg_mod])
    app.train()(lambda msg, context: Message(content(msg.content["arrays"]), reply_to=msg))
    return app


WEIGHT = MetricRecord({"num-examples": 3})


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (
            lambda held: RecordDict({"arrays": ArrayRecord({"bias": held["bias"]}), "metrics": WEIGHT}),
            r"'weight' is missing from the reply.*begin with a model of the adapters alone",
        ),
        (
            lambda held: RecordDict({"arrays": ArrayRecord({**held, "lora": held["bias"]}), "metrics": WEIGHT}),
            r"'lora' is not in the model that was sent.*begin with a model of the adapters alone",
        ),
        (
            lambda held: RecordDict({"arrays": held, "more": held, "metrics": WEIGHT}),
            r"exactly one ArrayRecord, found 2: \['arrays', 'more'\]; put all into one",
        ),
        (
            lambda held: RecordDict({"arrays": held, "metrics": MetricRecord({"loss": 1.0})}),
            r"metric 'num-examples' is missing.*report it, or agree on weight_max=0",
        ),
    ],
    ids=["part", "strange", "two records", "no weight"],
)
def test_a_reply_of_another_form_names_the_remedy(federation, three_rounds, content, said):
    with pytest.raises(TrainingFailed, match=said):
        three_rounds(SecAgg(fedavg(), **CODEC), federation(5, app=replying(content)), 1)


@pytest.mark.parametrize("wrapped", [fedavg, lambda: flower.FedAdam(fraction_evaluate=0.0)])
def test_noise_that_is_made_for_equal_weights_is_refused_with_hidden_ones(wrapped):
    """One round that promises ε = 4.38 gave 71 with a node of 10,000 examples beside nine of 200."""
    noisy = flower.DifferentialPrivacyClientSideFixedClipping(wrapped(), 1.0, 1.0, 10)
    with pytest.raises(ParameterError, match=r"DifferentialPrivacyClientSideFixedClipping.*weight_max=0"):
        SecAgg(noisy, clip=8.0, weight_max=1)
    SecAgg(noisy, clip=8.0, weight_max=0)


def test_noise_for_as_few_as_a_round_can_end_with_hides_any_of_them(federation, bench):
    """So `num_sampled_clients` is to be the threshold. One node is at the clipping norm here, the rest stay."""
    norm, nodes, lost = 1.0, 10, 4

    def training(node, arrays):
        size = sum(values.size for values in arrays.values())
        by = norm / np.sqrt(size) if node == 101 else 0.0
        return {name: values + np.float32(by) for name, values in arrays.items()}

    strategy = SecAgg(fedavg(), clip=1.0, weight_max=0)
    grid = federation(nodes, app=bench.train_app(training=training))
    grid.begin(lambda node, count: node > 100 + nodes - lost and count == 2)
    messages = strategy.configure_train(1, bench.record(bench.model()), flwr.app.ConfigRecord(), grid)
    threshold = strategy._pending.grid.round.server.scheme.threshold
    assert threshold == nodes - lost
    result, _ = strategy.aggregate_train(1, grid.send_and_receive(messages))
    moved = sum(np.square(array.numpy() - bench.model()[name]).sum() for name, array in result.items())
    assert np.sqrt(moved) == pytest.approx(norm / threshold, rel=1e-4)
