"""A ServerApp that departs from the protocol, over a real Grid. Writes down what each attempt got from the nodes."""

import json
from collections.abc import Callable
from pathlib import Path
from time import sleep

import msgspec
import numpy as np
from flwr.app import ArrayRecord, ConfigRecord, Message, RecordDict
from flwr.serverapp import Grid
from flwr.serverapp.strategy import FedAvg

from secagg.adapters.flower import SecAgg
from secagg.adapters.flower.encoding import RunConfig
from secagg.adapters.flower.records import read, write
from secagg.round import Request
from secagg_protocols import Envelope
from secagg_protocols.bonawitz.messages import UnmaskRequest
from secagg_protocols.core.wire import decode, encode


class Tap:
    """A Grid of some nodes, which keeps what passes and may change it."""

    settings: RunConfig

    def __init__(self, grid: Grid, nodes: list[int], change: Callable[[Message], Message] = lambda message: message):
        self.grid, self.nodes, self.change = grid, nodes, change
        self.sent: list[Message] = []
        self.errors: list[str] = []
        self.answers = 0

    def get_node_ids(self):
        return self.nodes

    def send_and_receive(self, messages, *, timeout=None):
        messages = [self.change(message) for message in messages]
        self.sent += messages
        replies = list(self.grid.send_and_receive(messages, timeout=90))
        self.errors += [reply.error.reason for reply in replies if reply.has_error()]
        self.answers += sum(reply.has_content() for reply in replies)
        return replies


def secure_round(tap: Tap, number: int, arrays: ArrayRecord) -> ArrayRecord | None:
    fedavg = FedAvg(min_train_nodes=1, min_available_nodes=1, fraction_evaluate=0.0)
    strategy = SecAgg(fedavg, value_bits=20, weight_max=64, clip=4.0, run_config=tap.settings)
    messages = strategy.configure_train(number, arrays, ConfigRecord(), tap)
    return strategy.aggregate_train(number, tap.send_and_receive(messages))[0]


def attack(grid: Grid, count: int, settings: RunConfig) -> None:
    Tap.settings = settings
    while len(nodes := sorted(grid.get_node_ids())) < count:
        sleep(0.5)
    model, other = (ArrayRecord([np.full(1000, value, dtype=np.float32)]) for value in (0.0, 1.0))
    found: dict[str, dict] = {}

    def note(name: str, tap: Tap, result: ArrayRecord | None = None) -> None:
        found[name] = {"errors": tap.errors, "answers": tap.answers, "sum": result is not None}

    for kind in ("train", "train.default"):
        tap = Tap(grid, nodes)
        content = RecordDict({"arrays": model, "config": ConfigRecord({"server-round": 1})})
        tap.send_and_receive([Message(content, node, kind) for node in nodes])
        note(kind, tap)

    tap = Tap(grid, nodes[:1])
    try:
        secure_round(tap, 1, model)
    except ValueError as refused:  # our own server refuses to play: the proposal is made by hand
        found["own refusal"] = {"errors": [str(refused)]}

    honest = Tap(grid, nodes)
    note("honest", honest, secure_round(honest, 1, model))
    last_message = honest.sent[-1]
    last = Request.from_bytes(read(last_message.content))

    tap = Tap(grid, nodes)
    alone = Request(msgspec.structs.replace(last.proposal, participants=1, round=9), 1, ())
    tap.send_and_receive([Message(write(alone.to_bytes()), nodes[0], "train")])
    note("cohort of one", tap)

    tap = Tap(grid, nodes)
    envelope = Envelope.from_bytes(last.envelopes[0], 1 << 20)
    request = decode(UnmaskRequest, envelope.payload, 1 << 20)
    lie = msgspec.structs.replace(request, survivors=request.survivors[1:])
    forged = msgspec.structs.replace(envelope, payload=encode(lie)).to_bytes()
    again = Request(last.proposal, last.participant, (forged,))
    tap.send_and_receive([Message(write(again.to_bytes()), last_message.metadata.dst_node_id, "train")])
    note("both shares", tap)

    tap = Tap(grid, nodes[:-1])
    note("one site fewer", tap, secure_round(tap, 2, model))

    def to_one(message: Message) -> Message:
        if message.metadata.dst_node_id != nodes[0] or "arrays" not in message.content:
            return message
        content = RecordDict({**message.content, "arrays": model})
        return Message(content, nodes[0], message.metadata.message_type)

    tap = Tap(grid, nodes, to_one)
    note("two models", tap, secure_round(tap, 3, other))
    Path(str(settings["out"]), "hostile.json").write_text(json.dumps(found))
