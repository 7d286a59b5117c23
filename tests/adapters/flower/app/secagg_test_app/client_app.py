import time
from pathlib import Path

from flwr.app import ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

from secagg.adapters.flower import secagg_mod
from secagg.adapters.flower.records import LARGE, SMALL, read
from secagg.round import Request
from secagg_protocols import Envelope
from secagg_test_app.task import trained, weight_of


def fault_mod(msg, context, call_next):
    """Leave a note of what this node is asked with, and fail where the run configuration says so."""
    if not msg.metadata.message_type.startswith("train"):
        return call_next(msg, context)
    partition, number = int(context.node_config["partition-id"]), msg.metadata.group_id
    envelopes = Request.from_bytes(read(msg.content)).envelopes if {SMALL, LARGE} & msg.content.keys() else ()
    kind = Envelope.from_bytes(envelopes[0], 1 << 20).kind if envelopes else "nothing"
    if out := context.run_config["out"]:
        Path(out, f"asked-{number}-{partition}-{kind}").touch()
    for fault in filter(None, str(context.run_config["faults"]).split(",")):
        *where, how = fault.strip().split(":")
        if where == [number, str(partition), kind]:
            if how == "raise":
                raise RuntimeError("a fault that the test asked for")
            time.sleep(3600)  # until the test kills this node
    return call_next(msg, context)


app = ClientApp(mods=[fault_mod, secagg_mod])


@app.train()
def train(msg: Message, context: Context) -> Message:
    partition = int(context.node_config["partition-id"])
    (values,) = msg.content["arrays"].to_numpy_ndarrays()
    metrics = MetricRecord({"num-examples": weight_of(partition)})
    return Message(RecordDict({"arrays": ArrayRecord([trained(partition, values)]), "metrics": metrics}), reply_to=msg)


@app.evaluate()
def evaluate(msg: Message, context: Context) -> Message:
    return Message(RecordDict({"metrics": MetricRecord({"loss": 0.0, "num-examples": 1})}), reply_to=msg)
