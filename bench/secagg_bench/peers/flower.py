"""Flower's own SecAgg+: its workflow at the server, its mod at every client, its own bytes between them.

No network and no extra process: the grid below hands each message over as the objects that Flower would send. What is
Flower's (stages, key agreement, shares, masks, serialisation) is called, not imitated.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import flwr
import numpy as np
from flwr.app import ConfigRecord, Context, Message, RecordDict
from flwr.client.mod import make_ffn, secaggplus_mod
from flwr.common import Code, FitRes, Status, ndarrays_to_parameters
from flwr.common.secure_aggregation.secaggplus_constants import RECORD_KEY_CONFIGS, Key, Stage
from flwr.compat.common import recorddict_compat
from flwr.server import LegacyContext, ServerConfig, SimpleClientManager
from flwr.server.compat.grid_client_proxy import GridClientProxy
from flwr.server.strategy import FedAvg
from flwr.server.workflow import SecAggPlusWorkflow
from flwr.server.workflow.constant import MAIN_CONFIGS_RECORD, MAIN_PARAMS_RECORD
from flwr.server.workflow.constant import Key as WorkflowKey
from flwr.supercore.inflatable.inflatable_object import get_all_nested_objects, no_object_id_recompute
from flwr.supercore.inflatable.inflatable_utils import inflate_object_from_contents
from flwr.supercore.task_identity import TaskIdentity

from .task import CLIP, WEIGHT_MAX, Cost, CpuClock, Task

RUN = 1
SERVER_NODE = 0
WAIT_S = 5.0  # nobody waits: dropouts simply have no reply


def measure(task: Task) -> Cost:
    """Run one round. Raises ArithmeticError if Flower gives no mean or a wrong one."""
    # As its launcher does.
    TaskIdentity.run_id = RUN
    TaskIdentity.node_id = SERVER_NODE
    TaskIdentity.task_id = 1
    grid = DirectGrid(task)
    context = server_context(task, grid)
    workflow = workflow_of(task)
    clock = CpuClock()
    with clock.spent_on("workflow"):
        workflow(grid, context)
    mean = context.state.array_records[MAIN_PARAMS_RECORD].to_numpy_ndarrays()[0]
    survivors = len(task.survivors)
    return Cost(
        version=flwr.__version__,
        client_ms=(grid.clock.ms["client"] + grid.clock.ms["client wire"]) / survivors,
        server_ms=clock.ms["workflow"] - grid.clock.ms["grid"] + grid.clock.ms["server wire"],
        upload_bytes=sum(grid.uploaded[participant] for participant in task.survivors) / survivors,
        max_abs_error=task.error_of(mean),
        client_wire_ms=grid.clock.ms["client wire"] / survivors,
        server_wire_ms=grid.clock.ms["server wire"],
    )


def workflow_of(task: Task) -> Any:
    """Return Flower's own server of one secure sum."""
    return SecAggPlusWorkflow(
        num_shares=task.neighbours + 1,  # Flower counts the share that a client keeps
        reconstruction_threshold=task.threshold,
        max_weight=float(WEIGHT_MAX),
        clipping_range=CLIP,
        quantization_range=1 << task.value_bits,
        timeout=WAIT_S,
    )


class DirectGrid:
    """What the workflow needs of a grid: every message reaches its client at once, and its reply comes back."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.clock = CpuClock()
        self.uploaded: dict[int, int] = defaultdict(int)
        self._contexts = {node: _context(node) for node in range(1, task.clients + 1)}

    def send_and_receive(self, messages: Iterable[Any], *, timeout: float | None = None) -> list[Any]:
        """Answer for all clients. Raises whatever a client raises."""
        with self.clock.spent_on("grid"):
            replies = [self._reply(message) for message in messages if self._is_there(message)]
        return replies

    def _is_there(self, message: Any) -> bool:
        stage = message.content.config_records[RECORD_KEY_CONFIGS][Key.STAGE]
        return message.metadata.dst_node_id not in self.task.dropouts or stage in (Stage.SETUP, Stage.SHARE_KEYS)

    def _reply(self, message: Any) -> Any:
        node = message.metadata.dst_node_id
        update = self.task.update(node)
        weight = self.task.weight(node)
        client = "unused" if node in self.task.dropouts else "client"

        def train(request: Any, _: Any) -> Any:
            result = FitRes(Status(Code.OK, ""), ndarrays_to_parameters([update]), weight, {})
            return Message(recorddict_compat.fitres_to_recorddict(result, True), reply_to=request)

        with self.clock.spent_on("server wire"):
            request = _to_bytes(message)
        with self.clock.spent_on(f"{client} wire"):
            received = inflate_object_from_contents(*request)
        with self.clock.spent_on(client):
            answer = make_ffn(train, [secaggplus_mod])(received, self._contexts[node])
        with self.clock.spent_on(f"{client} wire"):
            reply = _to_bytes(answer)
        self.uploaded[node] += sum(map(len, reply[1].values()))
        with self.clock.spent_on("server wire"):
            return inflate_object_from_contents(*reply)


def _to_bytes(message: Any) -> tuple[str, dict[str, bytes]]:
    with no_object_id_recompute():  # as Flower sends: hash each object once
        identity = message.object_id
        message.metadata.__dict__["_message_id"] = identity
        return identity, {name: part.deflate() for name, part in get_all_nested_objects(message).items()}


def _context(node: int) -> Any:
    return Context(run_id=RUN, node_id=node, node_config={}, state=RecordDict(), run_config={})


def server_context(task: Task, grid: DirectGrid) -> Any:
    """Return what the workflow finds its clients, its strategy and its model in."""
    clients = SimpleClientManager()
    for node in range(1, task.clients + 1):
        clients.register(GridClientProxy(node_id=node, grid=grid, run_id=RUN))
    strategy = FedAvg(fraction_fit=1.0, min_fit_clients=task.clients, min_available_clients=task.clients)
    context = LegacyContext(_context(SERVER_NODE), ServerConfig(num_rounds=1), strategy, clients)
    no_mean = ndarrays_to_parameters([np.full(task.length, np.nan, np.float32)])  # stays when the workflow gives up
    context.state.array_records[MAIN_PARAMS_RECORD] = recorddict_compat.parameters_to_arrayrecord(no_mean, True)
    context.state.config_records[MAIN_CONFIGS_RECORD] = ConfigRecord({WorkflowKey.CURRENT_ROUND: 1})
    return context
