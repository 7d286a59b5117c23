"""quickstart: a Flower app."""

from flwr.app import Array, ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

from quickstart.task import load_data, loss_of
from quickstart.task import train as train_fn

# Flower ClientApp
app = ClientApp()


def _received(msg: Message, context: Context):
    partition, partitions = context.node_config["partition-id"], context.node_config["num-partitions"]
    model = {name: array.numpy().copy() for name, array in msg.content["arrays"].items()}
    return model, load_data(partition, partitions, context.run_config["batch-size"])


@app.train()
def train(msg: Message, context: Context):
    """Train the model on local data."""
    model, (batches, _) = _received(msg, context)
    train_loss = train_fn(model, batches, context.run_config["local-epochs"], msg.content["config"]["lr"])
    metrics = {"train_loss": train_loss, "num-examples": sum(len(x) for x, _ in batches)}
    arrays = ArrayRecord({name: Array(values) for name, values in model.items()})
    return Message(content=RecordDict({"arrays": arrays, "metrics": MetricRecord(metrics)}), reply_to=msg)


@app.evaluate()
def evaluate(msg: Message, context: Context):
    """Evaluate the model on local data."""
    model, (_, rows) = _received(msg, context)
    metrics = {"eval_loss": loss_of(model, rows), "num-examples": len(rows[1])}
    return Message(content=RecordDict({"metrics": MetricRecord(metrics)}), reply_to=msg)
