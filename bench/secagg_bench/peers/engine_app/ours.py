"""Ours: `SecAgg` around Flower's FedAvg, `secagg_mod` at the nodes."""

from __future__ import annotations

import numpy as np
from flwr.app import ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import FedAvg

from secagg.adapters.flower import SecAgg, secagg_mod
from secagg_bench.peers.task import CLIP, WEIGHT_MAX

from .watch import Watch, task_of

server = ServerApp()
client = ClientApp(mods=[secagg_mod])


@client.train()  # type: ignore[untyped-decorator]
def train(message: Message, context: Context) -> Message:
    """Answer with the same update every round."""
    task = task_of(context.run_config)
    participant = int(context.node_config["partition-id"]) + 1
    metrics = MetricRecord({"num-examples": task.weight(participant)})
    content = RecordDict({"arrays": ArrayRecord([task.update(participant)]), "metrics": metrics})
    return Message(content, reply_to=message)


@server.main()  # type: ignore[untyped-decorator]
def main(grid: Grid, context: Context) -> None:
    """Run the rounds."""
    watch = Watch(context.run_config, grid)
    task = watch.task
    nodes = watch.task.clients
    strategy = SecAgg(
        FedAvg(min_train_nodes=nodes, min_available_nodes=nodes, fraction_evaluate=0.0),
        scheme=task.scheme,
        threshold=task.threshold,
        clip=CLIP,
        value_bits=task.value_bits,
        weight_max=WEIGHT_MAX,
        stage_timeout=watch.limit_s,
        run_config=dict(context.run_config),
    )

    def seen(server_round: int, arrays: ArrayRecord) -> MetricRecord:
        (model,) = arrays.to_numpy_ndarrays()
        watch.see(server_round, model)
        return MetricRecord({})

    strategy.start(
        grid=grid,
        initial_arrays=ArrayRecord([np.zeros(task.length, np.float32)]),
        num_rounds=watch.rounds,
        timeout=watch.limit_s,
        evaluate_fn=seen,
    )
    watch.write()
