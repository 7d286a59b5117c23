"""The training script of both jobs. It answers with the same update every round, and takes the time at each model."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import numpy as np
import nvflare.client as flare
import torch
from nvflare.app_common.abstract.fl_model import FLModel, ParamsType

from secagg_bench.peers.processes import cpu_seconds
from secagg_bench.peers.task import NAME, Task


def main(home: Path, task: Task, models: int) -> None:
    """Take part. The first site keeps the time, writes it at the last of so many models, and checks that one."""
    flare.init()
    participant = int(flare.get_site_name().rpartition("-")[2])
    update = torch.from_numpy(task.update(participant))
    meta = {"NUM_STEPS_CURRENT_ROUND": task.weight(participant)}
    wall: list[float] = []
    cpu: list[float] = []
    while flare.is_running() and (model := flare.receive()) is not None:
        if participant == 1:
            wall.append(time.perf_counter())
            cpu.append(cpu_seconds(home))
            if len(wall) == models:
                error = task.error_of(np.asarray(model.params[NAME]).ravel())
                told = {"wall": wall, "cpu": cpu, "error": error}
                (home / "times.json").write_text(json.dumps(told), encoding="utf-8")
        flare.send(FLModel(params={NAME: update}, params_type=ParamsType.FULL, meta=meta))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Task(**json.loads(bytes.fromhex(sys.argv[2]))), int(sys.argv[3]))
