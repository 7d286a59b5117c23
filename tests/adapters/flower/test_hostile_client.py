"""A node that answers with rubbish is a dropout, and takes nobody else with it."""

import numpy as np
import pytest

flwr = pytest.importorskip("flwr", reason="Flower is not installed: pip install -c constraints.txt -e '.[flower]'")

import msgspec  # noqa: E402
from flwr.app import Array, ArrayRecord, ConfigRecord, Message, RecordDict  # noqa: E402
from flwr.serverapp.strategy import FedAvg  # noqa: E402

from secagg.adapters.flower import SecAgg  # noqa: E402
from secagg.adapters.flower.records import LARGE, SMALL, write  # noqa: E402
from secagg.round import Answers  # noqa: E402
from secagg_protocols import Envelope, Identity, Roster  # noqa: E402

CODEC = {"clip": 8.0, "weight_max": 10_000}


def fedavg():
    return FedAvg(min_train_nodes=1, min_available_nodes=1, fraction_evaluate=0.0)


def block(data: bytes) -> RecordDict:
    return RecordDict({LARGE: ArrayRecord({"0": Array("uint8", (1,), "numpy.ndarray", data)})})


def npy(header: bytes) -> RecordDict:
    return block(b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header)


RUBBISH = {
    "nothing": RecordDict(),
    "no array": block(b"rubbish"),
    "a zip file": block(b"PK\x03\x04rubbish"),
    "a giant": npy(b"{'descr': '|u1', 'fortran_order': False, 'shape': (1152921504606846976,)}\n"),
    "half a header": npy(b"{'descr': (\n"),
    "floats": RecordDict({LARGE: ArrayRecord({"0": Array(np.zeros(3))})}),
    "texts": RecordDict({SMALL: ConfigRecord({"envelopes": ["a"]})}),
    "a number": RecordDict({SMALL: ConfigRecord({"envelopes": 1})}),
    "no envelope": RecordDict({SMALL: ConfigRecord({"envelopes": [b"rubbish"]})}),
    "no answer": RecordDict({SMALL: ConfigRecord({"envelopes": b"rubbish"})}),
    "an envelope of rubbish": write(Answers([b"rubbish"]).to_bytes()),
    "both": RecordDict({**write(Answers().to_bytes()), **write(bytes(1 << 17))}),
    "another kind of record": RecordDict({SMALL: ArrayRecord({"0": Array(np.zeros(3))})}),
}


def answers_with(grid, node, make):
    """Let one node answer make(its honest reply)."""
    deliver = grid.deliver

    def changed(message):
        reply = deliver(message)
        return make(reply) if message.metadata.dst_node_id == node and not reply.has_error() else reply

    grid.deliver = changed


@pytest.mark.parametrize("name", RUBBISH)
@pytest.mark.parametrize("at", [0, 2])
def test_rubbish_is_a_dropout(federation, bench, name, at):
    grid = federation(5)
    answers_with(
        grid, 103, lambda reply: Message(RUBBISH[name], metadata=reply.metadata) if grid.asked[103] == at else reply
    )
    result, _ = bench.one_round(SecAgg(fedavg(), weight_max=32, clip=8.0), grid)
    expected, _ = bench.plain_average(fedavg(), {101, 102, 104, 105})
    bench.assert_close(result, expected, 1e-5)


def test_a_node_that_says_it_is_another_takes_nobodys_place(federation, bench, tmp_path):
    """With a roster a node is whom its signature shows; what does not verify claims nothing."""
    identities = [Identity.generate(f"party {own}") for own in range(6)]
    Roster.of("x25519", [identity.public(own) for own, identity in enumerate(identities)]).save(tmp_path / "roster")
    for own, identity in enumerate(identities):
        identity.save(tmp_path / f"identity-{own}")

    def config(own):
        return {
            "secagg-adversary": "active",
            "secagg-roster": str(tmp_path / "roster"),
            "secagg-identity": str(tmp_path / f"identity-{own}"),
            "secagg-store": str(tmp_path / f"store-{own}"),
        }

    grid = federation(5, config)

    def as_the_first(reply):
        said = [Envelope.from_bytes(data, 1 << 20) for data in bench.answers(reply.content)]
        forged = [msgspec.structs.replace(envelope, sender=1).to_bytes() for envelope in said]
        return Message(bench.answering(forged), metadata=reply.metadata)

    answers_with(grid, 105, as_the_first)
    send = grid.send_and_receive

    def forger_last(messages, *, timeout=None):
        return sorted(send(messages), key=lambda reply: reply.metadata.src_node_id)

    grid.send_and_receive = forger_last
    knobs = {
        "adversary": "active",
        "identity": tmp_path / "identity-0",
        "roster": tmp_path / "roster",
        "weight_max": 32,
    }
    result, _ = bench.one_round(SecAgg(fedavg(), **{**CODEC, **knobs}), grid)
    expected, _ = bench.plain_average(fedavg(), {101, 102, 103, 104})
    bench.assert_close(result, expected, 1e-5)
