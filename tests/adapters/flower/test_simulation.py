"""Flower's simulation engine (Ray, real `flwr run`): the result is plain FedAvg's over the same survivors."""

import json

import numpy as np
import pytest

flwr = pytest.importorskip("flwr", reason="Flower is not installed: pip install -c constraints.txt -e '.[flower]'")
pytest.importorskip(
    "ray", reason="Flower's simulation engine is not installed: pip install -c constraints.txt -e '.[flower]'"
)

from secagg.codec import Layout, MeanCodec  # noqa: E402

ROUNDS, NODES, LENGTH = 3, 10, 1000

# round: {partition: the message that it does not answer}
KEYS, SHARES, VECTOR, UNMASKING = "nothing", "KeyList", "SealedShares", "UnmaskRequest"
FAULTS = {1: {2: KEYS, 7: VECTOR}, 2: {4: SHARES, 9: UNMASKING}, 3: {0: VECTOR, 5: VECTOR}}


def test_three_rounds_with_two_dropouts_each_equal_plain_fedavg(flower_engine, tmp_path, federated_average):
    faults = ", ".join(
        f"{number}:{partition}:{kind}:raise" for number, lost in FAULTS.items() for partition, kind in lost.items()
    )
    log = flower_engine.simulate(
        NODES,
        "--run-config",
        f"out='{tmp_path}' faults='{faults}' num-server-rounds={ROUNDS} min-nodes={NODES} length={LENGTH}",
    )
    assert (tmp_path / "stopped").exists(), log[-4000:]
    assert not (tmp_path / "stopped").read_text()
    values = np.load(tmp_path / "round-0.npy")
    for number in range(1, ROUNDS + 1):
        survivors = [own for own in range(NODES) if FAULTS[number].get(own, UNMASKING) == UNMASKING]
        expected, weight = federated_average(values, survivors)
        values = np.load(tmp_path / f"round-{number}.npy")
        codec = MeanCodec(Layout.of([values]), clip=4.0, value_bits=20, weight_max=64)
        bound = codec.error_bound(len(survivors), weight) + 1e-6  # float32 arithmetic of both averages
        assert np.abs(values - expected).max() <= bound
        assert np.abs(values - expected).max() > 0, "it is the secure sum that was rounded"
        asked = {int(note.name.split("-")[2]) for note in tmp_path.glob(f"asked-{number}-*-{KEYS}")}
        late = {1: range(NODES), 2: FAULTS[1], 3: FAULTS[2]}[number]
        assert asked == set(late), "keys of the others came with the round before"


def test_a_hostile_serverapp_is_refused_by_the_nodes_by_name(flower_engine, tmp_path):
    log = flower_engine.simulate(
        5,
        "--run-config",
        f"out='{tmp_path}' min-nodes=5 hostile=true",
    )
    assert (tmp_path / "hostile.json").exists(), log[-4000:]
    found = json.loads((tmp_path / "hostile.json").read_text())
    assert found["honest"]["sum"]
    assert not found["honest"]["errors"]
    for name, count, expected in (
        ("train", 5, "ProtocolViolation: a train message without a step of the protocol"),
        ("train.default", 5, "ProtocolViolation: a train message without a step of the protocol"),
        ("cohort of one", 1, "ParameterError: participants=1"),
        ("both shares", 1, "StateError: "),
        ("one site fewer", 4, "RepeatedContext: already answered for this model"),
        ("two models", 1, "ProtocolViolation: the model and configuration are not those of the context digest"),
    ):
        assert len(found[name]["errors"]) == count, (name, found[name])
        assert all(error.startswith(expected) for error in found[name]["errors"]), (name, found[name])
    assert not found["one site fewer"]["sum"]
    assert not any(found[name]["answers"] for name in ("train", "train.default", "cohort of one", "both shares"))
    assert found["two models"]["sum"], "the round goes on without the node that was lied to"
