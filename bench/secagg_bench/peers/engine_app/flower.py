"""Flower's own: `SecAggPlusWorkflow` and `secaggplus_mod`, which need its legacy API."""

from __future__ import annotations

from typing import Any

import numpy as np
from flwr.app import Context
from flwr.client import Client, NumPyClient
from flwr.client.mod import secaggplus_mod
from flwr.clientapp import ClientApp
from flwr.common import ndarrays_to_parameters
from flwr.server import LegacyContext, ServerConfig
from flwr.server.strategy import FedAvg
from flwr.server.workflow import DefaultWorkflow, SecAggPlusWorkflow
from flwr.serverapp import Grid, ServerApp

from secagg_bench.peers.task import CLIP, WEIGHT_MAX, Task

from .watch import Watch, task_of


class Trained(NumPyClient):  # type: ignore[misc]  # flwr is not type-checked here
    """Answers with the same update every round."""

    def __init__(self, task: Task, participant: int) -> None:
        self._task = task
        self._participant = participant

    def fit(self, parameters: Any, config: Any) -> Any:
        """Return update, weight, metrics."""
        return [self._task.update(self._participant)], self._task.weight(self._participant), {}


def make_client(context: Context) -> Client:
    """Make the client of a node."""
    return Trained(task_of(context.run_config), int(context.node_config["partition-id"]) + 1).to_client()


server = ServerApp()
client = ClientApp(client_fn=make_client, mods=[secaggplus_mod])


@server.main()  # type: ignore[untyped-decorator]
def main(grid: Grid, context: Context) -> None:
    """Run the rounds."""
    watch = Watch(context.run_config, grid)
    task = watch.task
    nodes = watch.task.clients

    def seen(server_round: int, arrays: Any, config: Any) -> tuple[float, dict[str, float]]:
        (model,) = arrays
        watch.see(server_round, model)
        return 0.0, {}

    strategy = FedAvg(
        min_fit_clients=nodes,
        min_available_clients=nodes,
        fraction_evaluate=0.0,
        evaluate_fn=seen,
        initial_parameters=ndarrays_to_parameters([np.zeros(task.length, np.float32)]),
    )
    secure = SecAggPlusWorkflow(
        num_shares=task.neighbours + 1,  # Flower counts the share that a client keeps
        reconstruction_threshold=task.threshold,
        max_weight=float(WEIGHT_MAX),
        clipping_range=CLIP,
        quantization_range=1 << task.value_bits,
        timeout=watch.limit_s,
    )
    legacy = LegacyContext(context, config=ServerConfig(num_rounds=watch.rounds), strategy=strategy)
    DefaultWorkflow(fit_workflow=secure)(grid, legacy)
    watch.write()
