"""The clock of a ServerApp. Both apps show it the model at the same points: before the first round, after each."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import flwr
import numpy as np
from numpy.typing import NDArray

from secagg_bench.peers.engine import Rounds, complete
from secagg_bench.peers.processes import cpu_seconds
from secagg_bench.peers.task import Task

POLL_S = 0.1


def task_of(run_config: Mapping[str, Any]) -> Task:
    """Return the task that the run configuration carries."""
    return complete(*(int(run_config[key]) for key in ("clients", "length", "threshold")))


class Watch:
    """Takes the time at every call, and checks every mean."""

    def __init__(self, run_config: Mapping[str, Any], grid: Any) -> None:
        """Wait until all nodes are there: that is no part of a round."""
        self.task = task_of(run_config)
        self.rounds = 1 + int(run_config["rounds"])  # the first warms up
        self.limit_s = float(run_config["limit"])
        self._home = Path(run_config["home"])
        self._wall: list[float] = []
        self._cpu: list[float] = []
        self._error = 0.0
        while len(list(grid.get_node_ids())) < self.task.clients:
            time.sleep(POLL_S)

    def see(self, server_round: int, model: NDArray[np.float32]) -> None:
        """Note the end of a round (0: the start of the first). Raises ArithmeticError for a wrong mean."""
        ended = time.perf_counter()
        if server_round:
            self._error = max(self._error, self.task.error_of(model))
        self._wall.append(ended)
        self._cpu.append(cpu_seconds(self._home))

    def write(self) -> None:
        """Leave the figures for the process that started the engine."""
        (first, *wall), (_, *cpu) = np.diff(self._wall).tolist(), np.diff(self._cpu).tolist()
        found = Rounds(flwr.__version__, first, tuple(wall), tuple(cpu), self._error)
        (self._home / "rounds.json").write_text(json.dumps(asdict(found)), encoding="utf-8")
