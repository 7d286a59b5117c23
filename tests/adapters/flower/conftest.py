"""A federation in memory: real strategies, real ClientApps with the real mod, Flower's own serialization between them.

`LoopGrid` is the transport. Every message gets a fresh Context whose state went through bytes, as in a deployment,
where each message is handled by a new process.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path

import numpy as np
import pytest

if find_spec("flwr"):
    from flwr.app import ArrayRecord, ConfigRecord, Context, Error, Message, MetricRecord, RecordDict
    from flwr.clientapp import ClientApp
    from flwr.common.constant import ErrorCode
    from flwr.common.serde import recorddict_from_proto, recorddict_to_proto
    from flwr.proto.recorddict_pb2 import RecordDict as ProtoRecordDict
    from flwr.serverapp import Grid
    from flwr.supercore.task_identity import TaskIdentity

    from secagg.adapters.flower import secagg_mod
    from secagg.adapters.flower.records import read, write
    from secagg.round import Answers, Request
else:
    Grid = object

RUN, SERVER_NODE = 7, 1
SHAPES = {"weight": (3, 4), "bias": (4,)}


def model(seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {name: rng.normal(size=shape).astype(np.float32) for name, shape in SHAPES.items()}


def record(arrays: dict[str, np.ndarray]):
    from flwr.app import Array

    return ArrayRecord({name: Array(values) for name, values in arrays.items()})


def arrays_in(held) -> dict[str, np.ndarray]:
    return {name: array.numpy() for name, array in held.items()}


def weight_of(node: int) -> int:
    return 10 + node % 7


def trained(node: int, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """What node's training makes of a model: any function of both that depends on each."""
    rng = np.random.default_rng(node)
    return {
        name: (values + 0.1 * np.tanh(values) * rng.normal(size=values.shape)).astype(values.dtype)
        for name, values in arrays.items()
    }


def train_app(mods=None, training: Callable = trained):
    """A ClientApp as a user writes it; `mods` None: with ours."""
    app = ClientApp(mods=[secagg_mod] if mods is None else mods)

    def train(msg, context):
        node = context.node_id
        context.state["trained"] = ConfigRecord({"yes": True})
        after = training(node, arrays_in(msg.content["arrays"]))
        metrics = {"num-examples": weight_of(node), "train_loss": 1 / node, "secret": 42.0}
        return Message(RecordDict({"arrays": record(after), "metrics": MetricRecord(metrics)}), reply_to=msg)

    app.train()(train)
    app.train("other")(train)

    @app.evaluate()
    def evaluate(msg, context):
        loss = float(np.square(arrays_in(msg.content["arrays"])["weight"]).mean())
        return Message(RecordDict({"metrics": MetricRecord({"loss": loss, "num-examples": 1})}), reply_to=msg)

    return app


class Node:
    """One SuperNode: its app, its own configuration, and the state that outlives messages."""

    def __init__(self, node_id: int, app, config: dict) -> None:
        self.id, self.app, self.config, self.state = node_id, app, config, b""
        self.run_config: dict = {}

    def context(self):
        state = recorddict_from_proto(ProtoRecordDict.FromString(self.state))
        return Context(RUN, self.id, dict(self.config), state, dict(self.run_config))

    def handle(self, message):
        context = self.context()
        reply = self.app(message, context)
        self.state = recorddict_to_proto(context.state).SerializeToString()
        return reply

    @property
    def has_trained(self) -> bool:
        return "trained" in self.context().state


class LoopGrid(Grid):
    """Carries messages to nodes in memory. lose(node, n): whether a node vanishes before its n-th message (from 0) of a
    stretch between two `begin`s. replies: everything that nodes ever sent."""

    def __init__(self, nodes: Iterable[Node]) -> None:
        self.nodes = {node.id: node for node in nodes}
        self.lose: Callable[[int, int], bool] = lambda node, count: False
        self.asked: dict[int, int] = {}
        self.replies: list = []
        self.round_trips = 0
        self._count = 0

    def begin(self, lose: Callable[[int, int], bool] = lambda node, count: False) -> None:
        self.lose, self.asked = lose, {}

    def send_and_receive(self, messages, *, timeout=None):
        messages = list(messages)
        self.round_trips += bool(messages)
        return [reply for message in messages if (reply := self._carry(message)) is not None]

    def _carry(self, message):
        self._count += 1
        message.metadata.__dict__["_message_id"] = f"message {self._count}"
        node = message.metadata.dst_node_id
        count = self.asked[node] = self.asked.get(node, -1) + 1
        if self.lose(node, count):
            return None
        reply = self.deliver(message)
        self.replies.append(reply)
        return reply

    def deliver(self, message):
        """Hand one message to its node as Flower does; a ClientApp that raises becomes an error reply."""
        content = recorddict_from_proto(recorddict_to_proto(message.content))
        arrived = Message(content, metadata=message.metadata)
        try:
            reply = self.nodes[message.metadata.dst_node_id].handle(arrived)
        except Exception as error:
            reason = f"{type(error).__name__}: {error}"
            return Message(Error(ErrorCode.CLIENT_APP_RAISED_EXCEPTION, reason), reply_to=arrived)
        if reply.has_error():
            return reply
        content = recorddict_from_proto(recorddict_to_proto(reply.content))
        return Message(content, metadata=reply.metadata)

    run = None  # as if Flower said nothing of it

    def set_run(self, run):
        raise NotImplementedError

    def create_message(self, *args, **kwargs):
        raise NotImplementedError

    def get_node_ids(self):
        return list(self.nodes)

    def push_messages(self, messages):
        raise NotImplementedError

    def pull_messages(self, message_ids):
        raise NotImplementedError


@pytest.fixture(autouse=True)
def server_task():
    if find_spec("flwr"):
        TaskIdentity.run_id, TaskIdentity.node_id, TaskIdentity.task_id = RUN, SERVER_NODE, 1


@pytest.fixture
def federation():
    """A function (number of nodes, node_config, app) → LoopGrid; node ids are 101, 102, …, unlike participants' ids."""

    def make(count: int, config: dict | Callable[[int], dict] | None = None, app=None) -> LoopGrid:
        app = app or train_app()
        settle = config if callable(config) else lambda own: config or {}
        return LoopGrid(Node(100 + own, app, settle(own)) for own in range(1, count + 1))

    return make


class Workbench:
    """The helpers above, for tests."""

    model, record, arrays_in, train_app, weight_of = map(staticmethod, (model, record, arrays_in, train_app, weight_of))

    @staticmethod
    def asked(content) -> Request:
        """The request in a message's content."""
        return Request.from_bytes(read(content))

    @staticmethod
    def answers(content) -> tuple:
        """The envelopes in a reply's content."""
        return Answers.from_bytes(read(content), 1 << 24).envelopes

    @staticmethod
    def asking(request: Request, beside=None):
        """The content of a message with this request."""
        return write(request.to_bytes(), beside)

    @staticmethod
    def answering(envelopes):
        """The content of a reply with these envelopes."""
        return write(Answers(envelopes).to_bytes())

    @staticmethod
    def one_round(strategy, grid, number: int = 1, arrays=None):
        """What `Strategy.start` does in one round; returns the arrays that came out (None: none) and the metrics."""
        arrays = record(model()) if arrays is None else arrays
        messages = strategy.configure_train(number, arrays, ConfigRecord(), grid)
        assert isinstance(messages, list)
        return strategy.aggregate_train(number, grid.send_and_receive(messages))

    @staticmethod
    def plain_average(strategy, survivors: Iterable[int], number: int = 1, arrays=None):
        """The same round without secure aggregation, among the survivors alone."""
        grid = LoopGrid(Node(node, train_app(mods=[]), {}) for node in survivors)
        result, metrics = Workbench.one_round(strategy, grid, number, arrays)
        return arrays_in(result), metrics

    @staticmethod
    def assert_close(held, expected: dict[str, np.ndarray], bound: float) -> None:
        got = arrays_in(held)
        assert got.keys() == expected.keys()
        for name, values in expected.items():
            assert np.abs(got[name] - values).max() <= bound + 1e-6 * np.abs(values).max(), name


@pytest.fixture
def bench():
    return Workbench


def _neighbour(name: str, folder: Path):
    """Load a module of these tests by its file: pytest imports tests by path, not as a package."""
    spec = spec_from_file_location(name, folder / f"{name}.py")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def flower_engine(tmp_path, programs_module):
    """Flower's programs, with a home under tmp_path; all that it started has ended when the test has."""
    with _neighbour("engine", Path(__file__).parent).engine(programs_module, tmp_path / "flwr-home") as held:
        yield held


@pytest.fixture
def federated_average():
    """(model, partitions) → what one round of plain federated averaging in the test app gives, and the total weight."""
    task = _neighbour("task", Path(__file__).parent / "app/secagg_test_app")

    def average(values, partitions):
        weights = {own: task.weight_of(own) for own in partitions}
        total = sum(weights.values())
        mean = sum(weight / total * task.trained(own, values).astype(np.float64) for own, weight in weights.items())
        return mean, total

    return average


@pytest.fixture
def quickstart_task():
    """The quickstart app's module of data and training."""
    return _neighbour("task", Path(__file__).parent / "quickstart/quickstart")


@pytest.fixture
def free_ports(programs_module):
    """count → as many ports that nobody listens on."""
    return lambda count: [programs_module.free_port() for _ in range(count)]
