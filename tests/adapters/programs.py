"""Programs of a framework as child processes: with a home of their own, hard time limits, all ended by pid."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

ROOT = Path(__file__).parents[2]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Programs:
    """A folder (working directory, logs) and everything that was started with it. mark: the variable that names the
    folder in the environment of all that was started. environment: what else they are given."""

    def __init__(self, home: Path, mark: str, environment: Mapping[str, str]) -> None:
        self.home = home
        home.mkdir()
        floors = [ROOT, *(ROOT / name for name in ("protocols", "bench", "he_backend"))]
        self.environment = os.environ | {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PYTHONPATH": ":".join([*map(str, floors), os.environ.get("PYTHONPATH", "")]),
            "OMP_NUM_THREADS": "1",
            "PYTHONUNBUFFERED": "1",
            mark: str(home),
            **environment,
        }
        self.children: list[subprocess.Popen[bytes]] = []
        self._mark = f"{mark}={home}".encode()

    def start(self, name: str, *command: str, folder: Path | None = None) -> subprocess.Popen[bytes]:
        """Start a program in a process group of its own; its output goes to `<name>.log`. folder: where it works, by
        default its home."""
        program = shutil.which(command[0], path=self.environment["PATH"])
        assert program, f"{command[0]} is not installed"
        with self.log(name).open("wb") as log:
            child = subprocess.Popen(
                [program, *command[1:]],
                cwd=folder or self.home,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.children.append(child)
        return child

    def log(self, name: str) -> Path:
        return self.home / f"{name}.log"

    def finish(
        self, name: str, child: subprocess.Popen[bytes], limit: float, while_running: Callable[[], None] = lambda: None
    ) -> str:
        """Wait for a program's end; return its log. limit: seconds."""
        until = time.monotonic() + limit
        while child.poll() is None:
            while_running()
            assert time.monotonic() < until, f"not done in {limit} s:\n{self.log(name).read_text()[-4000:]}"
            time.sleep(0.1)
        return self.log(name).read_text()

    def kill(self, child: subprocess.Popen[bytes]) -> None:
        """Kill a program and what it started, as a power cut would."""
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()

    def stop(self) -> None:
        """End everything that was started with this home, detached children included, by pid."""
        for sign, patience in ((signal.SIGTERM, 5.0), (signal.SIGKILL, 5.0)):
            until = time.monotonic() + patience
            for pid in self.pids():
                with suppress(ProcessLookupError):
                    os.kill(pid, sign)
            while list(self.pids()) and time.monotonic() < until:
                for child in self.children:
                    child.poll()
                time.sleep(0.1)
        assert not list(self.pids())

    def pids(self) -> Iterator[int]:
        """Processes whose environment names this home. Nothing else on this machine can."""
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and int(entry.name) != os.getpid():
                try:
                    if self._mark in (entry / "environ").read_bytes().split(b"\0"):
                        yield int(entry.name)
                except OSError:
                    continue  # it has ended, or is not ours
