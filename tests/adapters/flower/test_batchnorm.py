"""A torch state dict with integer buffers: floats are averaged, counters stay the global model's."""

import numpy as np
import pytest

flwr = pytest.importorskip("flwr", reason="Flower is not installed: pip install -c constraints.txt -e '.[flower]'")
torch = pytest.importorskip("torch", reason="torch is not installed: pip install -c constraints.txt -e '.[train]'")

from flwr.app import ArrayRecord, Message, MetricRecord, RecordDict  # noqa: E402
from flwr.clientapp import ClientApp  # noqa: E402
from flwr.serverapp.strategy import FedAdam, FedAvg  # noqa: E402

from secagg.adapters.flower import SecAgg, secagg_mod  # noqa: E402

CODEC = {"clip": 8.0, "weight_max": 10_000}


def net():
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.BatchNorm1d(8), torch.nn.Linear(8, 1))


def app(mods):
    app = ClientApp(mods=mods)

    @app.train()
    def train(msg, context):
        module = net()
        module.load_state_dict(msg.content["arrays"].to_torch_state_dict())
        torch.manual_seed(context.node_id)
        optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
        for _ in range(context.node_id - 99):  # nodes count differently many batches
            optimizer.zero_grad()
            module(torch.randn(16, 4)).square().mean().backward()
            optimizer.step()
        metrics = MetricRecord({"num-examples": 16})
        return Message(RecordDict({"arrays": ArrayRecord(module.state_dict()), "metrics": metrics}), reply_to=msg)

    return app


@pytest.mark.parametrize("kind", [FedAvg, FedAdam])
def test_counters_stay_and_everything_else_is_averaged(federation, bench, caplog, kind):
    def strategy():
        return kind(fraction_evaluate=0.0)

    start = ArrayRecord(net().state_dict())
    secure, grid = SecAgg(strategy(), weight_max=16, clip=8.0), federation(5, app=app([secagg_mod]))
    held, _ = bench.one_round(secure, grid, 1, start)
    assert "not averaged, the global values stay: 1.num_batches_tracked" in caplog.text
    assert held["1.num_batches_tracked"].numpy().dtype == np.int64
    assert held["1.num_batches_tracked"].numpy() == 0
    net().load_state_dict(held.to_torch_state_dict())

    plain_grid = federation(5, app=app([]))
    plain, _ = bench.one_round(strategy(), plain_grid, 1, ArrayRecord(net().state_dict()))
    expected = {name: array.numpy() for name, array in plain.items()}
    expected["1.num_batches_tracked"] = np.zeros((), dtype=np.int64)
    bench.assert_close(held, expected, 1e-4)
    again, _ = bench.one_round(secure, grid, 2, held)
    assert again is not None


def test_a_model_without_floats_has_nothing_to_aggregate(federation, bench):
    from secagg_protocols import InputError

    arrays = bench.record({"counter": np.arange(3)})
    with pytest.raises(InputError, match="nothing to aggregate"):
        bench.one_round(SecAgg(FedAvg(fraction_evaluate=0.0), **CODEC), federation(5), 1, arrays)
