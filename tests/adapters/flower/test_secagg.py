"""Any scheme around any strategy that is content with an average: the same result as without, and nothing in clear."""

import re

import numpy as np
import pytest

flwr = pytest.importorskip("flwr", reason="Flower is not installed: pip install -c constraints.txt -e '.[flower]'")

from flwr.app import ArrayRecord, ConfigRecord  # noqa: E402
from flwr.clientapp.mod import fixedclipping_mod  # noqa: E402
from flwr.serverapp import strategy as flower  # noqa: E402
from flwr.serverapp.strategy import FedAvg  # noqa: E402

from secagg import Bonawitz  # noqa: E402
from secagg.adapters.flower import SecAgg, secagg_mod  # noqa: E402
from secagg.adapters.flower.records import LARGE, SMALL  # noqa: E402
from secagg.codec import Layout, MeanCodec  # noqa: E402
from secagg_he import Bfv, Ckks  # noqa: E402
from secagg_protocols import Identity, ParameterError, Roster  # noqa: E402

CODEC = {"clip": 8.0, "weight_max": 10_000}

EVERY_NODE = range(101, 106)


def bound(strategy: SecAgg, arrays, survivors: int, weight: int) -> float:
    own = strategy.settings.codec
    codec = MeanCodec(Layout.of(arrays), clip=own.clip, value_bits=own.value_bits, weight_max=own.weight_max or None)
    return codec.error_bound(survivors, weight if own.weight_max else None)


def fedavg() -> FedAvg:
    return FedAvg(min_train_nodes=1, min_available_nodes=1, fraction_evaluate=0.0)


@pytest.mark.parametrize("scheme", ["bonawitz", "lightsecagg", "threshold-ckks"])
@pytest.mark.parametrize("gone_before", [0, 1, 2, 3, None])
def test_the_average_is_plain_fedavgs_over_the_same_survivors(federation, bench, scheme, gone_before):
    strategy, grid = SecAgg(fedavg(), scheme, **CODEC), federation(5)
    grid.begin(lambda node, count: node == 102 and count == gone_before)
    result, _ = bench.one_round(strategy, grid)
    survivors = [node for node in EVERY_NODE if node != 102 or gone_before in (3, None)]
    expected, _ = bench.plain_average(fedavg(), survivors)
    weight = sum(map(bench.weight_of, survivors))
    bench.assert_close(result, expected, bound(strategy, bench.model(), len(survivors), weight))


def test_plain_needs_a_node_that_allows_it(federation, bench):
    strategy = SecAgg(fedavg(), "plain", **CODEC)
    refused, _ = bench.one_round(strategy, federation(5))
    assert refused is None
    result, _ = bench.one_round(
        SecAgg(fedavg(), "plain", **CODEC), federation(5, {"secagg-schemes": "plain, bonawitz"})
    )
    expected, _ = bench.plain_average(fedavg(), EVERY_NODE)
    bench.assert_close(result, expected, 1e-2)


@pytest.mark.parametrize("scheme", ["bonawitz", "lightsecagg", "threshold-ckks"])
def test_large_messages_travel_as_arrays_in_both_directions(federation, bench, scheme):
    arrays = {"big": np.random.default_rng(1).normal(size=(700, 300)).astype(np.float32)}
    strategy, grid = SecAgg(fedavg(), scheme, weight_max=16, clip=8.0), federation(5)
    grid.begin(lambda node, count: node == 102 and count == 2)
    result, _ = bench.one_round(strategy, grid, 1, bench.record(arrays))
    assert any(LARGE in reply.content for reply in grid.replies)
    survivors = [101, 103, 104, 105]
    expected, _ = bench.plain_average(fedavg(), survivors, 1, bench.record(arrays))
    bench.assert_close(result, expected, bound(strategy, arrays, 4, sum(map(bench.weight_of, survivors))))


def test_the_weights_name_is_the_inner_strategys_under_a_wrapper_too():
    inner = flower.DifferentialPrivacyClientSideFixedClipping(FedAvg(weighted_by_key="rows"), 1.0, 1.0, 5)
    assert SecAgg(inner, clip=8.0, weight_max=0)._weight_key == "rows"


def test_secagg_plus_with_enough_nodes(federation, bench):
    strategy, grid = SecAgg(fedavg(), "secagg-plus", **CODEC), federation(100)
    grid.begin(lambda node, count: node in (110, 120) and count == 2)
    result, _ = bench.one_round(strategy, grid)
    survivors = set(range(101, 201)) - {110, 120}
    expected, _ = bench.plain_average(fedavg(), survivors)
    weight = sum(map(bench.weight_of, survivors))
    bench.assert_close(result, expected, bound(strategy, bench.model(), 98, weight))


def test_secagg_plus_with_few_nodes_names_the_remedy(federation, bench):
    with pytest.raises(ParameterError, match=r"secagg-plus cannot meet its bounds with 12 nodes.*scheme='bonawitz'"):
        bench.one_round(SecAgg(fedavg(), "secagg-plus", corrupt_rate=0.5, dropout_rate=0.4, **CODEC), federation(12))


@pytest.mark.parametrize("kind", [Bfv, Ckks])
def test_one_group_key_from_the_nodes_own_files(federation, bench, tmp_path, kind):
    pytest.importorskip("tenseal")
    probe = SecAgg(fedavg(), kind.name, **CODEC)
    codec = probe.settings.terms("num-examples").codec(Layout.of(bench.model()))
    key, handle = probe.settings.make_scheme(5, codec).make_group_key()

    def config(own):
        (tmp_path / str(own)).mkdir()
        key.save(tmp_path / str(own) / "group-key.json")
        return {"secagg-group-key": str(tmp_path / str(own) / "group-key.json")}

    result, _ = bench.one_round(SecAgg(fedavg(), kind.name, group_key=handle, **CODEC), federation(5, config))
    expected, _ = bench.plain_average(fedavg(), EVERY_NODE)
    bench.assert_close(result, expected, bound(probe, bench.model(), 5, 65))


def files_of_a_consortium(folder, participants: int):
    identities = [Identity.generate(f"party {own}") for own in range(participants + 1)]
    roster = Roster.of("x25519", [identity.public(own) for own, identity in enumerate(identities)])
    roster.save(folder / "roster.json")
    for own, identity in enumerate(identities):
        identity.save(folder / f"identity-{own}.json")

    def config(own):
        return {
            "secagg-adversary": "active",
            "secagg-roster": str(folder / "roster.json"),
            # not in order: the roster alone says who is who
            "secagg-identity": str(folder / f"identity-{participants + 1 - own}.json"),
            "secagg-store": str(folder / f"store-{own}"),
        }

    return config


@pytest.mark.parametrize("scheme", ["bonawitz", "threshold-ckks"])
def test_an_active_server_with_rosters_from_the_nodes_own_files(federation, bench, tmp_path, scheme):
    config = files_of_a_consortium(tmp_path, 6)
    knobs = {"adversary": "active", "identity": tmp_path / "identity-0.json", "roster": tmp_path / "roster.json"}
    strategy, grid = SecAgg(fedavg(), scheme, **{**CODEC, **knobs}), federation(6, config)
    del grid.nodes[106]  # in the roster and never there
    grid.begin(lambda node, count: node == 103 and count == 2)
    result, _ = bench.one_round(strategy, grid)
    expected, _ = bench.plain_average(fedavg(), {101, 102, 104, 105})
    bench.assert_close(
        result, expected, bound(strategy, bench.model(), 4, sum(map(bench.weight_of, (101, 102, 104, 105))))
    )
    assert grid.round_trips == 5


@pytest.mark.parametrize(
    "make",
    [
        lambda: flower.FedAdam(eta=0.1, fraction_evaluate=0.0),
        lambda: flower.FedAdagrad(eta=0.1, fraction_evaluate=0.0),
        lambda: flower.FedYogi(eta=0.1, fraction_evaluate=0.0),
        lambda: flower.FedAvgM(server_momentum=0.9, fraction_evaluate=0.0),
        lambda: flower.FedProx(proximal_mu=0.1, fraction_evaluate=0.0),
    ],
)
def test_three_rounds_of_a_strategy_with_memory_go_as_without_secure_aggregation(federation, bench, make):
    secure, plain, grid = SecAgg(make(), weight_max=16, clip=8.0), make(), federation(5)
    held = open_ = bench.record(bench.model())
    for number in (1, 2, 3):
        held, _ = bench.one_round(secure, grid, number, held)
        expected, _ = bench.plain_average(plain, EVERY_NODE, number, open_)
        open_ = bench.record(expected)
    bench.assert_close(held, expected, 1e-2 if hasattr(plain, "tau") else 1e-5)


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda: flower.Krum(), "compares"),
        (lambda: flower.MultiKrum(), "compares"),
        (lambda: flower.Bulyan(), "compares"),
        (lambda: flower.FedMedian(), "orders"),
        (lambda: flower.FedTrimmedAvg(), "orders"),
        (lambda: flower.QFedAvg(client_learning_rate=0.1), "loss"),
        (lambda: flower.FedXgbBagging(), "trees"),
        (lambda: flower.DifferentialPrivacyServerSideFixedClipping(FedAvg(), 1.0, 1.0, 5), "clips"),
        (lambda: flower.DifferentialPrivacyClientSideFixedClipping(flower.FedMedian(), 1.0, 1.0, 5), "orders"),
    ],
)
def test_a_strategy_that_needs_individual_updates_is_refused_by_name_when_it_is_wrapped(make, why):
    with pytest.raises(ParameterError, match=rf"needs individual updates.*{why}"):
        SecAgg(make(), clip=8.0, weight_max=0)


def test_weights_and_metrics_ride_in_the_sum_and_everything_else_stays_at_the_node(federation, bench):
    strategy, grid = SecAgg(fedavg(), metrics={"train_loss": (0, 1)}, **CODEC), federation(5)
    _, metrics = bench.one_round(strategy, grid)
    weights = {node: bench.weight_of(node) for node in EVERY_NODE}
    mean = sum(weight / node for node, weight in weights.items()) / sum(weights.values())
    assert set(metrics) == {"train_loss"}
    precision = len(EVERY_NODE) * CODEC["weight_max"] / sum(weights.values()) / (2**24 - 1)  # one coordinate of 24 bits
    assert metrics["train_loss"] == pytest.approx(mean, abs=precision)
    assert grid.replies
    for reply in grid.replies:
        assert set(reply.content) <= {SMALL, LARGE}, "a node sent a record that is not the protocol's"
        assert set(reply.content.get(SMALL, {})) <= {"envelopes"}


def test_an_unweighted_mean(federation, bench):
    result, _ = bench.one_round(SecAgg(fedavg(), weight_max=0, clip=8.0), federation(5))
    updates = [bench.plain_average(fedavg(), {node})[0] for node in EVERY_NODE]
    expected = {name: np.mean([update[name] for update in updates], axis=0) for name in updates[0]}
    bench.assert_close(result, expected, 1e-5)


def test_a_differential_privacy_mod_beside_it_clips_before_the_mask(federation, bench):
    clipping = 0.01

    def make():
        return flower.DifferentialPrivacyClientSideFixedClipping(fedavg(), 0.0, clipping, 5)

    app = bench.train_app(mods=[secagg_mod, fixedclipping_mod])
    result, _ = bench.one_round(SecAgg(make(), clip=8.0, weight_max=0), federation(5, app=app))
    before, after = bench.model(), bench.arrays_in(result)
    moved = np.sqrt(sum(np.square(after[name] - before[name]).sum() for name in before))
    assert 0 < moved <= clipping * 1.01


def test_too_few_before_the_vectors_skips_the_round_and_the_next_one_runs(federation, bench, caplog):
    strategy, grid = SecAgg(fedavg(), **CODEC), federation(5)
    grid.begin(lambda node, count: node <= 103 and count == 1)
    assert bench.one_round(strategy, grid) == (None, None)
    assert "round 1 is skipped: round failed at ShareKeys" in caplog.text
    grid.begin()
    result, _ = bench.one_round(strategy, grid, 2)
    assert result is not None
    assert strategy.stopped is None


def test_too_few_after_the_vectors_stops_the_training(federation, bench, caplog):
    strategy, grid = SecAgg(fedavg(), **CODEC), federation(5)
    grid.begin(lambda node, count: node <= 103 and count == 3)
    assert bench.one_round(strategy, grid) == (None, None)
    assert "no site answers twice" in strategy.stopped
    grid.begin()
    before = grid.round_trips
    assert bench.one_round(strategy, grid, 2) == (None, None)
    assert grid.round_trips == before, "nothing is asked any more"
    assert "round 2 is not run" in caplog.text


@pytest.mark.parametrize("allowed", [0, 1, 2])
def test_after_a_round_that_failed_late_sites_are_asked_again_as_often_as_they_allow(federation, bench, allowed):
    strategy = SecAgg(fedavg(), clip=8.0, weight_max=10_000, reruns=1)
    grid = federation(5, {"secagg-reruns": allowed})
    grid.begin(lambda node, count: node <= 103 and count == 3)
    assert bench.one_round(strategy, grid) == (None, None)
    assert strategy.stopped is None
    grid.begin()
    result, _ = bench.one_round(strategy, grid, 2)
    assert (result is not None) == (allowed > 0)
    assert (strategy.stopped is None) == (allowed > 0)


def test_sites_that_are_asked_more_often_than_the_server_states_are_not_asked_again(federation, bench):
    strategy, grid = SecAgg(fedavg(), clip=8.0, weight_max=10_000, reruns=1), federation(5, {"secagg-reruns": 9})
    for number in (1, 2):
        grid.begin(lambda node, count: node <= 103 and count == 3)
        assert bench.one_round(strategy, grid, number) == (None, None)
    assert "reruns=1" in strategy.stopped


def test_training_that_raises_is_a_dropout(federation, bench, caplog):
    def fails(node, arrays):
        if node == 104:
            raise RuntimeError("out of memory")
        return arrays

    result, _ = bench.one_round(SecAgg(fedavg(), **CODEC), federation(5, app=bench.train_app(training=fails)))
    bench.assert_close(result, bench.model(), 1e-3)
    assert "node 104 (participant 4) gave no answer: RuntimeError: out of memory" in caplog.text


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_value_that_is_no_number_never_leaves_and_its_node_is_named(federation, bench, caplog, bad):
    def poison(node, arrays):
        arrays["bias"] = arrays["bias"] + np.float32(bad if node == 105 else 0)
        return arrays

    result, _ = bench.one_round(SecAgg(fedavg(), **CODEC), federation(5, app=bench.train_app(training=poison)))
    bench.assert_close(result, bench.model(), 1e-3)
    assert re.search(r"node 105 \(participant 5\) gave no answer: InputError: array 'bias'", caplog.text)


def test_a_shape_that_differs_is_named_with_its_node(federation, bench, caplog):
    def reshape(node, arrays):
        return arrays | ({"weight": arrays["weight"].T} if node == 101 else {})

    result, _ = bench.one_round(SecAgg(fedavg(), **CODEC), federation(5, app=bench.train_app(training=reshape)))
    assert result is not None
    assert "node 101 (participant 1) gave no answer: InputError: array 'weight' has shape (4, 3)" in caplog.text


def test_a_strategy_that_gives_nodes_different_models_is_refused(federation, bench):
    class PerNode(FedAvg):
        def configure_train(self, server_round, arrays, config, grid):
            messages = list(super().configure_train(server_round, arrays, config, grid))
            from flwr.app import Message, RecordDict

            content = RecordDict({"arrays": arrays, "config": ConfigRecord({"lr": 0.5})})
            messages[2] = Message(content, messages[2].metadata.dst_node_id, "train")
            return messages

    with pytest.raises(ParameterError, match=r"another model or configuration"):
        bench.one_round(SecAgg(PerNode(fraction_evaluate=0.0), **CODEC), federation(5))


def test_the_whole_training_with_evaluation_and_results(federation, bench):
    strategy, grid = SecAgg(FedAvg(), **CODEC), federation(5)
    result = strategy.start(grid=grid, initial_arrays=bench.record(bench.model()), num_rounds=2)
    assert set(result.evaluate_metrics_clientapp) == {1, 2}
    assert isinstance(result.arrays, ArrayRecord)
    assert grid.round_trips == (4 + 1) + (3 + 1), "four for a secure sum, then three; one for evaluation"


def test_knobs_from_the_run_configuration():
    run_config = {
        "num-server-rounds": 3,
        "secagg-scheme": "bonawitz",
        "secagg-clip": 2.5,
        "secagg-value-bits": 20,
        "secagg-weight-max": 500,
        "secagg-metrics": "train-loss:0:10, accuracy:0:1",
        "secagg-threshold": 4,
        "secagg-roster": "",
    }
    settings = SecAgg.from_config(fedavg(), run_config).settings
    assert (settings.codec.clip, settings.codec.value_bits, settings.codec.weight_max) == (2.5, 20, 500)
    assert settings.codec.metrics == {"train-loss": (0, 10), "accuracy": (0, 1)}
    assert settings.make_scheme(6, settings.terms("n").codec(Layout.of([np.zeros(3)]))) == Bonawitz(
        6, 3 + 1 + 2, value_bits=20, threshold=4, early_keys=True
    )


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ({"scheme": "secagg+"}, "choose from"),
        ({"clipp": 1.0}, "'clipp' is no knob"),
        ({"neighbours": 4}, "no parameter of bonawitz"),
        ({"clip": -1.0}, "clip"),
        ({"value_bits": 40}, "value_bits"),
        ({"value_bits": 12}, "weight_max=10000.*raise value_bits to 14"),
        ({"metrics": {"loss": (1, 0)}}, "low < high"),
        ({"adversary": "active"}, "identity and the roster"),
        ({"stage_timeout": 0}, "stage_timeout"),
    ],
)
def test_a_knob_that_does_not_fit_is_refused_when_it_is_set(knobs, message):
    with pytest.raises(ParameterError, match=message):
        SecAgg(fedavg(), **{**CODEC, **knobs})


@pytest.mark.parametrize(
    ("knobs", "named"),
    [
        ({}, "clip and weight_max"),
        ({"clip": 8.0}, "weight_max"),
        ({"weight_max": 512}, "clip"),
        ({"clip": None, "weight_max": 512}, "clip"),
    ],
)
def test_no_silent_default_says_how_far_one_site_can_move_the_mean(knobs, named):
    """Under clip = 8 and weight_max = 10000, which nobody chose, one site of ten was nearly the whole mean."""
    with pytest.raises(
        ParameterError, match=rf"not given {named}, for which there is no safe default.*99\.9th.*largest"
    ):
        SecAgg(fedavg(), **knobs)
    run_config = {f"secagg-{name.replace('_', '-')}": "" if value is None else value for name, value in knobs.items()}
    with pytest.raises(ParameterError, match=rf"not given {named}"):
        SecAgg.from_config(fedavg(), run_config)


def test_each_round_says_how_far_one_site_can_have_moved_its_mean(federation, bench, caplog):
    caplog.set_level("INFO")
    strategy, grid = SecAgg(fedavg(), clip=0.5, weight_max=20), federation(5)
    assert strategy.influence is None
    bench.one_round(strategy, grid)
    weight = sum(map(bench.weight_of, EVERY_NODE))
    assert strategy.influence.within == pytest.approx(0.5 * 20 / weight)
    assert strategy.influence.anywhere == 0.5
    assert (
        f"the sum of 5 sites; one site can have moved any value of the mean by {10 / weight:.3g} within" in caplog.text
    )


def test_too_few_sampled_nodes_skip_a_later_round_and_refuse_the_first(federation, bench):
    """Settings that never fitted are a mistake; a round with too few nodes is a dropout of many."""
    strategy, grid = SecAgg(fedavg(), threshold=4, **CODEC), federation(5)
    result, _ = bench.one_round(strategy, grid, 1)
    for number in (104, 105):
        del grid.nodes[number]
    skipped, _ = bench.one_round(strategy, grid, 2, result)
    assert skipped is None
    with pytest.raises(ParameterError, match="threshold=4"):
        bench.one_round(SecAgg(fedavg(), threshold=4, **CODEC), grid, 1)
