"""Runs a job of `flare_app` in FLARE's simulator: a server and a process for each site. Ends all of it by pid."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass
from importlib.metadata import version
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

from .engine import Rounds
from .processes import run_in, why_failed
from .runner import environment
from .task import Task

COUNTED = "received_msg_sizes@server.simulate_job"
"""Where FLARE counts what the server's job was sent, in units of 2^20 bytes."""


@dataclass(frozen=True, slots=True)
class SimulatedRounds(Rounds):
    """upload_bytes: what one site sent in a round, keys and shares included, as FLARE itself counts it."""

    upload_bytes: float


def missing() -> str | None:
    """Return the name of what is needed and is not there; None: nothing is missing."""
    return next((name for name in ("nvflare", "tenseal", "torch") if find_spec(name) is None), None)


def run_simulator(side: str, task: Task, rounds: int, limit_s: float) -> SimulatedRounds:
    """Run `flare_app.<side>` on a `complete` task for at most `limit_s` seconds, and end what it started.

    A round is timed at the first site, from a model to the next. Raises `EngineFailed`, `EngineTimedOut`.
    """
    with TemporaryDirectory(prefix="secagg-", ignore_cleanup_errors=True) as name:
        home = Path(name).resolve()
        around = environment(home) | {"OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
        command = [sys.executable, "-m", f"{__package__}.flare_app", side, json.dumps(asdict(task))]
        log = run_in(home, [*command, str(rounds), str(home)], around, limit_s)
        times = home / "times.json"
        if not times.exists():
            raise why_failed(log)
        told = json.loads(times.read_text(encoding="utf-8"))
        first, *wall = (after - before for before, after in pairwise(told["wall"]))
        _, *cpu = (after - before for before, after in pairwise(told["cpu"]))
        upload = bytes_sent(home / "workspace") / (task.clients * len(told["wall"]))
        return SimulatedRounds(version("nvflare"), first, tuple(wall), tuple(cpu), told["error"], upload)


def bytes_sent(workspace: Path) -> float:
    """Return what all sites of a job that ended sent to the server's, by the simulator's workspace."""
    file = workspace / "server" / "pool_stats" / "simulator_cell_stats.json"
    kinds = json.loads(file.read_text(encoding="utf-8"))[COUNTED]["pool"]["cat_data"].values()
    return float(sum(bucket["total"] for kind in kinds for bucket in kind if bucket)) * (1 << 20)
