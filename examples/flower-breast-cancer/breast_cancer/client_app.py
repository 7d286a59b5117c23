"""One hospital."""

from flwr.app import Array, ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

from breast_cancer import task
from secagg.adapters.flower import secagg_mod

app = ClientApp(mods=[secagg_mod])


def _hospital(context: Context):
    return task.load_hospital(int(context.node_config["partition-id"]), int(context.node_config["num-partitions"]))


def _model(msg: Message) -> task.Model:
    return {name: array.numpy() for name, array in msg.content["arrays"].items()}


@app.train()
def train(msg: Message, context: Context) -> Message:
    (x, y), _ = _hospital(context)
    model, loss = task.train(_model(msg), x, y, int(context.run_config["local-epochs"]))
    arrays = ArrayRecord({name: Array(values) for name, values in model.items()})
    metrics = MetricRecord({"num-examples": len(y), "train-loss": loss})
    return Message(RecordDict({"arrays": arrays, "metrics": metrics}), reply_to=msg)


@app.evaluate()
def evaluate(msg: Message, context: Context) -> Message:
    _, (x, y) = _hospital(context)
    accuracy = float(((task.probability(_model(msg), x) > 0.5) == y).mean())
    metrics = MetricRecord({"num-examples": len(y), "accuracy": accuracy})
    return Message(RecordDict({"metrics": metrics}), reply_to=msg)
