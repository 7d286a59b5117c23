"""Runs an app of `engine_app` in Flower's simulation engine: `flwr run`, its SuperLink, Ray. Ends all of it by pid."""

from __future__ import annotations

import json
import os
import shutil
import socket
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from math import ceil
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from .processes import run_in, why_failed
from .runner import environment
from .task import Task

APP = """\
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"
[project]
name = "secure-round"
version = "1.0.0"
description = "One federation, measured"
license = "Apache-2.0"
[tool.hatch.build.targets.wheel]
packages = ["."]
[tool.flwr.app]
publisher = "secagg"
[tool.flwr.app.components]
serverapp = "secure_round.app:server"
clientapp = "secure_round.app:client"
[tool.flwr.app.config]
clients = 0
length = 0
threshold = 0
rounds = 0
limit = 0.0
home = ""
"""


@dataclass(frozen=True, slots=True)
class Rounds:
    """What the rounds of one run took. wall_s: from the end of the round before to the end of this, in the ServerApp.

    cpu_s: of all processes of the run in that time, zeros where it is not known. max_abs_error: of the means.
    first_s: of one round before these, in which Ray starts its workers; it is in nothing else.
    """

    version: str
    first_s: float
    wall_s: tuple[float, ...]
    cpu_s: tuple[float, ...]
    max_abs_error: float

    @property
    def median_wall_s(self) -> float:
        """Return the median of the wall times."""
        return median(self.wall_s)

    @property
    def median_cpu_s(self) -> float:
        """Return the median of the CPU seconds."""
        return median(self.cpu_s)


def missing() -> str | None:
    """Return the name of what the engine needs and is not there; None: nothing is missing."""
    return next((name for name in ("flwr", "ray") if find_spec(name) is None), None)


def complete(clients: int, length: int, threshold: int | None = None) -> Task:
    """Return the task of a run: the complete graph, nobody drops out. threshold: None: two thirds of them."""
    return Task(clients, length, 0, clients - 1, ceil(2 * clients / 3) if threshold is None else threshold)


def run_engine(side: str, task: Task, rounds: int, limit_s: float) -> Rounds:
    """Run `engine_app.<side>` on a `complete` task for at most `limit_s` seconds, and end what it started.

    Raises `EngineFailed`, `EngineTimedOut`.
    """
    with TemporaryDirectory(prefix="secagg-", ignore_cleanup_errors=True) as name:
        home = Path(name).resolve()
        app = _write_app(home, side)
        shape = f"clients={task.clients} length={task.length} threshold={task.threshold}"
        settings = f"{shape} rounds={rounds} limit={float(limit_s)} home='{home}'"
        federation = f"num-supernodes={task.clients} client-resources-num-cpus=1"
        around = _environment(home)
        command = [shutil.which("flwr", path=around["PATH"]) or "flwr", "run", str(app), "--stream"]
        command += ["--federation-config", federation, "--run-config", settings]
        log = run_in(home, command, around, limit_s)
        figures = home / "rounds.json"
        if not figures.exists():  # `flwr run` says 0 even where a ServerApp crashed
            raise why_failed(log)
        told = json.loads(figures.read_text(encoding="utf-8"))
        return Rounds(**{**told, "wall_s": tuple(told["wall_s"]), "cpu_s": tuple(told["cpu_s"])})


def _write_app(home: Path, side: str) -> Path:
    module = home / "app" / "secure_round"
    module.mkdir(parents=True)
    (module.parent / "pyproject.toml").write_text(APP, encoding="utf-8")
    (module / "__init__.py").touch()
    text = f"from {__package__}.engine_app import {side} as side\nserver = side.server\nclient = side.client\n"
    (module / "app.py").write_text(text, encoding="utf-8")  # assignments: Flower looks for them before it imports
    return module.parent


def _environment(home: Path) -> dict[str, str]:
    return {
        **environment(home),
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]),
        "FLWR_LOCAL_SUPERLINK_HTTP_API_PORT": str(_free_port()),
        "FLWR_LOCAL_CONTROL_API_PORT": str(_free_port()),
        "RAY_USAGE_STATS_ENABLED": "0",
        "OMP_NUM_THREADS": "1",
        "PYTHONUNBUFFERED": "1",
    }


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
