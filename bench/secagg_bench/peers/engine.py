"""Runs an app of `engine_app` in Flower's simulation engine: `flwr run`, its SuperLink, Ray. Ends all of it by pid."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from .runner import environment
from .task import Task

POLL_S = 0.1
PATIENCE_S = 5.0
PROC = Path("/proc")  # without it no CPU time is told
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


class EngineFailed(Exception):
    """A run gave no figures. The text is the last line that tells why."""


class EngineTimedOut(Exception):
    """A run was ended at its limit."""


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


def complete(clients: int, length: int, threshold: int) -> Task:
    """Return the task of a run: the complete graph, nobody drops out."""
    return Task(clients, length, 0, clients - 1, threshold)


def run_engine(side: str, task: Task, rounds: int, limit_s: float) -> Rounds:
    """Run `engine_app.<side>` on a `complete` task for at most `limit_s` seconds, and end what it started.

    Raises `EngineFailed`, `EngineTimedOut`.
    """
    with TemporaryDirectory(prefix="secagg-", ignore_cleanup_errors=True) as name:
        home = Path(name).resolve()
        app = _write_app(home, side)
        log = home / "run.log"
        shape = f"clients={task.clients} length={task.length} threshold={task.threshold}"
        settings = f"{shape} rounds={rounds} limit={float(limit_s)} home='{home}'"
        federation = f"num-supernodes={task.clients} client-resources-num-cpus=1"
        around = _environment(home)
        command = [shutil.which("flwr", path=around["PATH"]) or "flwr", "run", str(app), "--stream"]
        command += ["--federation-config", federation, "--run-config", settings]
        try:
            with log.open("wb") as output:
                child = subprocess.Popen(
                    command,
                    cwd=home,
                    env=around,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            try:
                child.wait(limit_s)
            except subprocess.TimeoutExpired:
                raise EngineTimedOut(f"ended after {limit_s:g} s") from None
            finally:
                _end_all(home, child)
        except OSError as failure:
            raise EngineFailed(str(failure)) from failure
        return _read(home / "rounds.json", log)


def _write_app(home: Path, side: str) -> Path:
    module = home / "app" / "secure_round"
    module.mkdir(parents=True)
    (module.parent / "pyproject.toml").write_text(APP, encoding="utf-8")
    (module / "__init__.py").touch()
    text = f"from {__package__}.engine_app import {side} as side\nserver = side.server\nclient = side.client\n"
    (module / "app.py").write_text(text, encoding="utf-8")  # assignments: Flower looks for them before it imports
    return module.parent


def _read(figures: Path, log: Path) -> Rounds:
    """Read what the ServerApp left. `flwr run` says 0 even where a ServerApp crashed."""
    if figures.exists():
        told = json.loads(figures.read_text(encoding="utf-8"))
        return Rounds(**{**told, "wall_s": tuple(told["wall_s"]), "cpu_s": tuple(told["cpu_s"])})
    lines = [line.strip(" │╭╮╰╯─") for line in log.read_text(encoding="utf-8", errors="replace").splitlines()]
    lines = [line for line in lines if line]
    telling = [line for line in lines if "Error:" in line]
    raise EngineFailed((telling or lines or ["no output"])[-1])


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


def _end_all(home: Path, child: subprocess.Popen[bytes]) -> None:
    """End the child and everything that runs with this home; the SuperLink is detached and would stay."""
    for sign in (signal.SIGTERM, signal.SIGKILL):
        for pid in {*_pids(home), child.pid}:
            if pid != child.pid or child.poll() is None:
                with suppress(ProcessLookupError):
                    os.kill(pid, sign)
        until = time.monotonic() + PATIENCE_S
        while (child.poll() is None or list(_pids(home))) and time.monotonic() < until:
            time.sleep(POLL_S)


def cpu_seconds(home: Path) -> float:
    """Return the CPU seconds of all processes of a run, and of those that they have waited for. Linux; elsewhere 0."""
    ticks = 0
    for pid in _pids(home):
        with suppress(OSError):  # it has just ended
            ticks += sum(map(int, _stat(pid)[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")


def _pids(home: Path) -> Iterator[int]:
    """Processes whose environment names this home, and their descendants: Ray's workers overwrite their environment."""
    mark = f"FLWR_HOME={home}".encode()
    parents: dict[int, int] = {}
    ours: set[int] = set()
    for entry in PROC.iterdir() if PROC.is_dir() else ():
        if entry.name.isdigit():
            with suppress(OSError):  # it has ended, or belongs to somebody else
                pid = int(entry.name)
                fields = _stat(pid)
                if fields[0] != b"Z":
                    parents[pid] = int(fields[1])
                    if mark in (entry / "environ").read_bytes().split(b"\0"):
                        ours.add(pid)
    grown = True
    while grown:
        children = {pid for pid, parent in parents.items() if parent in ours}
        grown = not children <= ours
        ours |= children
    yield from ours


def _stat(pid: int) -> list[bytes]:
    """Return the fields of /proc/PID/stat from the state on; the name before them may contain anything."""
    return (PROC / str(pid) / "stat").read_bytes().rpartition(b")")[2].split()
