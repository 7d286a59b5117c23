"""bfv and ckks under Flower: one group key, whoever of its holders is there today, in memory and in Flower's engine."""

import numpy as np
import pytest

flwr = pytest.importorskip("flwr", reason="Flower is not installed: pip install -c constraints.txt -e '.[flower]'")
pytest.importorskip("tenseal", reason="SEAL is not installed: pip install -c constraints.txt -e '.[he]'")

from flwr.serverapp.strategy import FedAvg  # noqa: E402

from secagg.adapters.flower import SecAgg  # noqa: E402
from secagg.codec import Layout, MeanCodec  # noqa: E402
from secagg.round.policy import GROUP_KEY_VARIABLE  # noqa: E402
from secagg_he import Bfv, Ckks, GroupKey  # noqa: E402
from secagg_protocols import ParameterError  # noqa: E402

CODEC = {"clip": 8.0, "weight_max": 10_000}


def fedavg() -> FedAvg:
    return FedAvg(min_train_nodes=1, min_available_nodes=1, fraction_evaluate=0.0)


@pytest.fixture(params=[Bfv, Ckks], ids=["bfv", "ckks"])
def kind(request):
    return request.param


@pytest.fixture
def files(kind, tmp_path):
    """(the participants' file, the server's) of a key for up to eight sites and some more values than the model has."""
    key, handle = kind(8, 100, value_bits=24).make_group_key()
    key.save(tmp_path / "group.key")
    handle.save(tmp_path / "group.key.handle")
    return tmp_path / "group.key", tmp_path / "group.key.handle"


def as_plain(bench, strategy, result, nodes):
    """The round's result is plain FedAvg's over these nodes."""
    assert result is not None, "the round was skipped"
    own = strategy.settings.codec
    codec = MeanCodec(Layout.of(bench.model()), clip=own.clip, value_bits=own.value_bits, weight_max=own.weight_max)
    expected, _ = bench.plain_average(fedavg(), nodes)
    weight = sum(map(bench.weight_of, nodes))
    bench.assert_close(result, expected, codec.error_bound(len(nodes), weight))


def test_one_site_offline_and_a_sixth_that_joins_are_no_reason_to_skip_a_round(kind, files, federation, bench):
    key, handle = files
    grid = federation(6, {"secagg-group-key": str(key)})
    strategy = SecAgg(fedavg(), kind.name, group_key=handle, **CODEC)
    everyone = dict(grid.nodes)
    for number, present in enumerate([range(101, 106), range(101, 105), range(101, 107), (102, 104, 106)], start=1):
        grid.nodes = {node: everyone[node] for node in present}
        for node in everyone.values():
            node.state = b""  # a run of its own: the same model is asked for again
        result, _ = bench.one_round(strategy, grid, number)
        as_plain(bench, strategy, result, list(present))


def test_more_sites_than_the_key_was_made_for_are_told_what_to_make(kind, files, federation, bench, caplog):
    key, handle = files
    grid = federation(9, {"secagg-group-key": str(key)})
    with pytest.raises(ParameterError, match=r"participants=9 is above max_participants=8.*secagg group-key new"):
        bench.one_round(SecAgg(fedavg(), kind.name, group_key=handle, **CODEC), grid)
    strategy = SecAgg(fedavg(), kind.name, group_key=handle, **CODEC)
    ninth = grid.nodes.pop(109)
    assert bench.one_round(strategy, grid)[0] is not None
    grid.nodes[109] = ninth
    assert list(strategy.configure_train(2, bench.record(bench.model()), flwr.app.ConfigRecord(), grid)) == []
    assert "participants=9 is above max_participants=8" in caplog.text


def test_a_node_that_holds_another_key_says_which_it_needs(kind, files, federation, bench):
    _, handle = files
    other = files[0].with_name("other.key")
    kind(3, 100, value_bits=24).make_group_key()[0].save(other)
    grid = federation(5, {"secagg-group-key": str(other)})
    result, _ = bench.one_round(SecAgg(fedavg(), kind.name, group_key=handle, **CODEC), grid)
    assert result is None
    assert "up to 3 participants" in grid.replies[-1].error.reason
    assert "up to 8 participants" in grid.replies[-1].error.reason


def test_the_servers_handle_comes_from_the_run_configuration_and_the_nodes_key_from_its_environment(
    kind, files, federation, bench, monkeypatch
):
    key, handle = files
    monkeypatch.setenv(GROUP_KEY_VARIABLE, str(key))
    settings = {"secagg-scheme": kind.name, "secagg-group-key": str(handle)}
    settings |= {"secagg-clip": CODEC["clip"], "secagg-weight-max": CODEC["weight_max"]}
    strategy, grid = SecAgg.from_config(fedavg(), settings), federation(5)
    for node in grid.nodes.values():
        node.run_config = dict(settings)
    result, _ = bench.one_round(strategy, grid)
    as_plain(bench, strategy, result, list(grid.nodes))


def test_a_nodes_own_configuration_stands_above_its_environment(kind, files, federation, bench, monkeypatch):
    key, handle = files
    monkeypatch.setenv(GROUP_KEY_VARIABLE, str(key.with_name("absent")))
    strategy, grid = (
        SecAgg(fedavg(), kind.name, group_key=handle, **CODEC),
        federation(5, {"secagg-group-key": str(key)}),
    )
    assert bench.one_round(strategy, grid)[0] is not None


def test_a_handle_for_another_scheme_is_refused_when_secagg_is_made(kind, files):
    other = {"bfv": "ckks", "ckks": "bfv"}[kind.name]
    with pytest.raises(ParameterError, match=f"group_key is for {kind.name}"):
        SecAgg(fedavg(), other, group_key=files[1], **CODEC)
    with pytest.raises(ParameterError, match="group_key is for"):
        SecAgg(fedavg(), "bonawitz", group_key=files[1], **CODEC)


def test_a_sum_that_is_kept_from_the_server_is_refused_when_secagg_is_made(kind):
    with pytest.raises(ParameterError, match="a Flower strategy needs it there"):
        SecAgg(fedavg(), kind.name, release_to="participants", **CODEC)
    _, handle = kind(8, 100, value_bits=24, release_to="participants").make_group_key()
    with pytest.raises(ParameterError, match="a Flower strategy needs it there"):
        SecAgg(fedavg(), kind.name, group_key=handle, **CODEC)


def test_a_group_key_in_flowers_simulation_engine(flower_engine, tmp_path, federated_average):
    """Five virtual nodes of one user share its file, and its count; one of them vanishes before its vector."""
    pytest.importorskip(
        "ray", reason="Flower's simulation engine is not installed: pip install -c constraints.txt -e '.[flower]'"
    )
    rounds, nodes, length = 2, 5, 1000
    key, handle = Bfv(8, 2 * length, value_bits=20, releases=rounds).make_group_key()
    key.save(tmp_path / "group.key")
    handle.save(tmp_path / "group.key.handle")
    flower_engine.environment[GROUP_KEY_VARIABLE] = str(tmp_path / "group.key")
    log = flower_engine.simulate(
        nodes,
        "--run-config",
        f"out='{tmp_path}' num-server-rounds={rounds} min-nodes={nodes} length={length} faults='2:3:nothing:raise' "
        f"secagg-scheme='bfv' secagg-early-keys=false secagg-group-key='{tmp_path / 'group.key.handle'}'",
    )
    assert (tmp_path / "stopped").exists(), log[-4000:]
    assert not (tmp_path / "stopped").read_text(), log[-4000:]
    values = np.load(tmp_path / "round-0.npy")
    for number, survivors in ((1, (0, 1, 2, 3, 4)), (2, (0, 1, 2, 4))):
        expected, weight = federated_average(values, survivors)
        values = np.load(tmp_path / f"round-{number}.npy")
        codec = MeanCodec(Layout.of([values]), clip=4.0, value_bits=20, weight_max=64)
        assert 0 < np.abs(values - expected).max() <= codec.error_bound(len(survivors), weight) + 1e-6
    assert GroupKey.load(tmp_path / "group.key").releases.count(key.key_id) == rounds
