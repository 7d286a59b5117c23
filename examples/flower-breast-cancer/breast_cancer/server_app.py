"""The server: FedAvg, under secure aggregation."""

from flwr.app import Array, ArrayRecord, Context
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import FedAvg

from breast_cancer import task
from secagg.adapters.flower import SecAgg

app = ServerApp()


@app.main()
def main(grid: Grid, context: Context) -> None:
    strategy = SecAgg.from_config(FedAvg(), context.run_config)
    initial = ArrayRecord({name: Array(values) for name, values in task.initial_model().items()})
    strategy.start(grid=grid, initial_arrays=initial, num_rounds=int(context.run_config["num-server-rounds"]))
