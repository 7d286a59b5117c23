"""Flower's own programs as child processes: started with a home of their own, ended by pid, with hard time limits."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

ROOT = Path(__file__).parents[3]
APP = Path(__file__).parent / "app"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Engine:
    """A folder (FLWR_HOME, logs) and everything that was started with it."""

    def __init__(self, home: Path) -> None:
        self.home = home
        home.mkdir()
        floors = [ROOT, *(ROOT / name for name in ("protocols", "bench", "he_backend"))]
        self.environment = os.environ | {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PYTHONPATH": ":".join([*map(str, floors), os.environ.get("PYTHONPATH", "")]),
            "FLWR_HOME": str(home),
            "FLWR_TELEMETRY_ENABLED": "0",
            "FLWR_DISABLE_UPDATE_CHECK": "1",
            "FLWR_DISABLE_RUNTIME_DEPENDENCY_INSTALLATION": "1",
            "FLWR_LOCAL_SUPERLINK_HTTP_API_PORT": str(free_port()),
            "FLWR_LOCAL_CONTROL_API_PORT": str(free_port()),
            "RAY_USAGE_STATS_ENABLED": "0",
            "OMP_NUM_THREADS": "1",
            "PYTHONUNBUFFERED": "1",
        }
        self.children: list[subprocess.Popen[bytes]] = []

    def start(self, name: str, *command: str) -> subprocess.Popen[bytes]:
        """Start a program in a process group of its own; its output goes to `<name>.log`."""
        program = shutil.which(command[0], path=self.environment["PATH"])
        assert program, f"{command[0]} is not installed"
        log = self.log(name).open("wb")
        child = subprocess.Popen(
            [program, *command[1:]],
            cwd=self.home,
            env=self.environment,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self.children.append(child)
        return child

    def log(self, name: str) -> Path:
        return self.home / f"{name}.log"

    def run_app(
        self, limit: float, *arguments: str, app: Path = APP, while_running: Callable[[], None] = lambda: None
    ) -> str:
        """Run an app to its end and return its log. `flwr run` says 0 even where a ServerApp crashed."""
        child, until = self.start("run", "flwr", "run", str(app), "--stream", *arguments), time.monotonic() + limit
        while child.poll() is None:
            while_running()
            assert time.monotonic() < until, f"not done in {limit} s:\n{self.log('run').read_text()[-4000:]}"
            time.sleep(0.1)
        return self.log("run").read_text()

    def kill(self, child: subprocess.Popen[bytes]) -> None:
        """Kill a program and what it started, as a power cut would."""
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()

    def stop(self) -> None:
        """End everything that was started with this home, detached children included, by pid."""
        for sign, patience in ((signal.SIGTERM, 5.0), (signal.SIGKILL, 5.0)):
            until = time.monotonic() + patience
            for pid in self._pids():
                with suppress(ProcessLookupError):
                    os.kill(pid, sign)
            while list(self._pids()) and time.monotonic() < until:
                for child in self.children:
                    child.poll()
                time.sleep(0.1)
        assert not list(self._pids())

    def _pids(self) -> Iterator[int]:
        """Processes whose environment names this home. Nothing else on this machine can."""
        mark = f"FLWR_HOME={self.home}".encode()
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and int(entry.name) != os.getpid():
                try:
                    if mark in (entry / "environ").read_bytes().split(b"\0"):
                        yield int(entry.name)
                except OSError:
                    continue  # it has ended, or is not ours


@contextmanager
def engine(home: Path) -> Iterator[Engine]:
    held = Engine(home)
    try:
        yield held
    finally:
        held.stop()
