from pathlib import Path

import numpy as np
from flwr.app import ArrayRecord, Context, MetricRecord
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import FedAvg

from secagg.adapters.flower import SecAgg
from secagg_test_app.hostile import attack

app = ServerApp()


@app.main()
def main(grid: Grid, context: Context) -> None:
    settings = context.run_config
    nodes = int(settings["min-nodes"])
    if settings["hostile"]:
        return attack(grid, nodes, settings)
    fedavg = FedAvg(min_train_nodes=1, min_available_nodes=nodes, fraction_evaluate=0.0)
    strategy = SecAgg.from_config(fedavg, settings)

    def checkpoint(server_round: int, arrays: ArrayRecord) -> MetricRecord:
        fedavg.min_available_nodes = 1  # a node that is gone is not waited for
        (values,) = arrays.to_numpy_ndarrays()
        np.save(Path(str(settings["out"]), f"round-{server_round}.npy"), values)
        return MetricRecord({"mean": float(values.mean())})

    strategy.start(
        grid=grid,
        initial_arrays=ArrayRecord([np.zeros(int(settings["length"]), dtype=np.float32)]),
        num_rounds=int(settings["num-server-rounds"]),
        timeout=float(settings["timeout"]),
        evaluate_fn=checkpoint,
    )
    Path(str(settings["out"]), "stopped").write_text(strategy.stopped or "")
