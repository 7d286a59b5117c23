"""One round of training in Flower, in this process: its own strategy and its own ClientApps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from flwr.app import Array, ArrayRecord, ConfigRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.supercore.task_identity import TaskIdentity

from ..released import Floats

RUN = 1
ARRAY = "update"


@dataclass(frozen=True)
class Nodes:
    """Who trains. updates: by node. examples: each node's number of them. mods: of every node's ClientApp."""

    updates: Mapping[int, Floats]
    examples: Mapping[int, int]
    mods: Sequence[Any] = ()

    def get_node_ids(self) -> list[int]:
        """Return whom a strategy may ask."""
        return list(self.updates)

    def answer(self, message: Any) -> Any:
        """Return the reply of the node that this message is for: the model that it got, and its update."""
        node = message.metadata.dst_node_id
        app = ClientApp(mods=list(self.mods))

        def train(request: Any, _: Any) -> Any:
            received = request.content["arrays"][ARRAY].numpy()
            metrics = MetricRecord({"num-examples": self.examples[node]})
            return Message(
                RecordDict({"arrays": record(received + self.updates[node]), "metrics": metrics}), reply_to=request
            )

        app.train()(train)
        return app(message, Context(RUN, node, {}, RecordDict(), {}))


@dataclass(frozen=True)
class Seen:
    """What the strategy saw of each node, and what it made of all."""

    replies: Mapping[int, Floats]
    aggregated: Floats


def train(strategy: Any, nodes: Nodes) -> Seen:
    """Run one round with a model of zeros."""
    zeros = record(np.zeros_like(next(iter(nodes.updates.values()))))
    with identity():
        messages = list(strategy.configure_train(1, zeros, ConfigRecord({}), nodes))
        replies = [nodes.answer(message) for message in messages]
        seen = {reply.metadata.src_node_id: read(reply.content["arrays"]) for reply in replies}
        arrays, _ = strategy.aggregate_train(1, replies)
    return Seen(seen, read(arrays))


def record(values: Floats) -> Any:
    """Return a model of one array."""
    return ArrayRecord({ARRAY: Array(values)})


def read(arrays: Any) -> Floats:
    """Return the values of a model of one array."""
    values: Floats = arrays[ARRAY].numpy()
    return values


@contextmanager
def identity() -> Iterator[None]:
    """Say who this process is, as Flower's launcher does: its messages ask for that."""
    before = TaskIdentity._run_id, TaskIdentity._node_id, TaskIdentity._task_id
    try:
        TaskIdentity.run_id, TaskIdentity.node_id, TaskIdentity.task_id = RUN, 0, 1
        yield
    finally:
        TaskIdentity._run_id, TaskIdentity._node_id, TaskIdentity._task_id = before
