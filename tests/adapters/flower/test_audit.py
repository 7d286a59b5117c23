"""A Flower run with logs: the server's and each node's agree, and a server that goes on with another model is named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("flwr")

from flwr.serverapp.strategy import FedAvg

from secagg.adapters.flower import SecAgg
from secagg.round import audit
from secagg_protocols import Identity, InputError, ParameterError


@pytest.fixture
def kept(federation, bench, tmp_path: Path, request):
    """Grid, strategy and, in the end, verified logs (the server's first); its parameter is how nodes train."""
    identities = {own: Identity.generate(f"party {own}") for own in range(5)}
    for own, identity in identities.items():
        identity.save(tmp_path / f"{own}.identity")

    def node(own: int) -> dict[str, str]:
        return {
            "secagg-identity": str(tmp_path / f"{own}.identity"),
            "secagg-audit": str(tmp_path / f"node-{own}.jsonl"),
        }

    class Kept:
        grid = federation(4, node, bench.train_app(training=request.param) if hasattr(request, "param") else None)
        strategy = SecAgg(
            FedAvg(min_available_nodes=4, min_train_nodes=4),
            clip=8.0,
            weight_max=100,
            identity=str(tmp_path / "0.identity"),
            audit=str(tmp_path / "server.jsonl"),
        )

        @staticmethod
        def logs() -> list[audit.Log]:
            paths = {0: tmp_path / "server.jsonl"} | {own: tmp_path / f"node-{own}.jsonl" for own in range(1, 5)}
            return [
                audit.Log(path, list(audit.verify(path, identities[own].public_key))) for own, path in paths.items()
            ]

    return Kept()


def test_server_and_nodes_write_logs_that_agree(kept, bench):
    arrays = bench.record(bench.model())
    for number in (1, 2, 3):
        arrays, _ = bench.one_round(kept.strategy, kept.grid, number, arrays)
    server, *nodes = kept.logs()
    assert audit.compare([server, *nodes]) == []
    records = [line.record for line in server.lines]
    assert [record["survivors"] for record in records] == [[1, 2, 3, 4]] * 3
    assert [later["model"] for later in records[1:]] == [earlier["model_after"] for earlier in records[:-1]]
    for node in nodes:
        ended = [line.record for line in node.lines if line.record["stage"] == "ended"]
        assert [record["model"] for record in ended] == [record["model"] for record in records]


def test_a_failed_round_is_recorded_and_the_model_stays(kept, bench):
    kept.grid.begin(lambda node, count: node > 102 and count >= 2)
    bench.one_round(kept.strategy, kept.grid)
    server, *nodes = kept.logs()
    (line,) = server.lines
    assert line.record["failure"].startswith("round failed")
    assert line.record["model"] == line.record["model_after"]
    assert audit.compare([server, *nodes]) == []


def test_a_server_that_trains_on_with_another_model_is_named(kept, bench):
    bench.one_round(kept.strategy, kept.grid, 1)
    bench.one_round(kept.strategy, kept.grid, 2, bench.record(bench.model(seed=1)))  # not what came of round 1
    found = audit.compare(kept.logs())
    assert {(item.path.name, item.subject[1], item.field) for item in found} == {("server.jsonl", 1, "model_after")}


def test_a_log_that_cannot_be_kept_is_refused_before_the_run(federation, tmp_path):
    identity = tmp_path / "identity"
    Identity.generate("server").save(identity)
    knobs = {"clip": 8.0, "weight_max": 100}
    with pytest.raises(InputError, match=r"nowhere/log: .*give a file"):
        SecAgg(FedAvg(), **knobs, identity=str(identity), audit=str(tmp_path / "nowhere" / "log"))
    with pytest.raises(ParameterError, match="audit needs identity"):
        SecAgg(FedAvg(), **knobs, audit=str(tmp_path / "log"))


def test_a_node_that_cannot_keep_its_log_takes_no_part(federation, bench, tmp_path):
    identity = tmp_path / "identity"
    Identity.generate("node").save(identity)
    grid = federation(4, {"secagg-identity": str(identity), "secagg-audit": str(tmp_path)})
    strategy = SecAgg(FedAvg(min_available_nodes=4, min_train_nodes=4), clip=8.0, weight_max=100)
    arrays, _ = bench.one_round(strategy, grid)
    assert arrays is None
    assert all("cannot be used as an audit log" in reply.error.reason for reply in grid.replies)
    assert not any(node.has_trained for node in grid.nodes.values())


def diverged(node, arrays):
    return {name: values * np.nan for name, values in arrays.items()}


@pytest.mark.parametrize("kept", [diverged], indirect=True)
def test_a_training_that_gave_no_numbers_is_in_the_nodes_own_record(kept, bench):
    bench.one_round(kept.strategy, kept.grid)
    for node in kept.logs()[1:]:
        last = node.lines[-1].record
        assert last["stage"] == "refused"
        assert any("NaN" in refusal for refusal in last["refusals"])
