"""`python -m secagg_bench.peers.flare_app SIDE TASK ROUNDS HOME`: run one side in FLARE's simulator."""

from __future__ import annotations

import json
import sys
from importlib import import_module
from pathlib import Path

from secagg.extras import OURS
from secagg_bench.peers.task import Task

from .net import Net


def main(side: str, said: str, rounds: int, home: Path) -> None:
    """Run the rounds, one before them that warms up, and one after them, whose model is the last round's."""
    task = Task(**json.loads(said))
    workspace = home / "workspace"
    models = rounds + 2
    made = import_module(f"{__package__}.{side}").recipe(
        task,
        workspace,
        name=side,
        model=Net(task.length),
        min_clients=task.clients,
        num_rounds=models,
        train_script=str(Path(__file__).with_name("trainer.py")),
        train_args=f"{home} {said.encode().hex()} {models}",
    )
    made._job.set_app_packages(sorted(OURS))  # they are installed: no copies of them in the job
    sys.exit(made._job.simulator_run(str(workspace), n_clients=task.clients, threads=task.clients))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), Path(sys.argv[4]))
