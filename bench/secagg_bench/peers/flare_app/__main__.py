"""`python -m secagg_bench.peers.flare_app SIDE TASK ROUNDS HOME`: run one side in FLARE's simulator."""

from __future__ import annotations

import json
import sys
from importlib import import_module
from pathlib import Path

from nvflare.private.fed.app.simulator.simulator_runner import SimulatorRunner

from secagg_bench.peers.task import Task

from . import net

MODEL = f"{net.__name__}.{net.Net.__name__}"


def main(side: str, said: str, rounds: int, home: Path) -> None:
    """Run the rounds, one before them that warms up, and one after them, whose model is the last round's."""
    task = Task(**json.loads(said))
    workspace = home / "workspace"
    models = rounds + 2
    made = import_module(f"{__package__}.{side}").recipe(
        task,
        workspace,
        name=side,
        model={"class_path": MODEL, "args": {"length": task.length}},
        min_clients=task.clients,
        num_rounds=models,
        train_script=str(Path(__file__).with_name("trainer.py")),
        train_args=f"{home} {said.encode().hex()} {models}",
    )
    made.export(str(home / "jobs"))
    clients = task.clients
    runner = SimulatorRunner(str(home / "jobs" / side), str(workspace), n_clients=clients, threads=clients)
    sys.exit(runner.run())


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), Path(sys.argv[4]))
