"""A framework's processes: run with a home of their own, counted by it, and ended by pid."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

POLL_S = 0.1
PATIENCE_S = 5.0
PROC = Path("/proc")  # without it no CPU time is told


class EngineFailed(Exception):
    """A run gave no figures. The text is the last line that tells why."""


class EngineTimedOut(Exception):
    """A run was ended at its limit."""


def run_in(home: Path, command: Sequence[str], environment: Mapping[str, str], limit_s: float) -> Path:
    """Run a command for at most `limit_s` seconds, and end what it started; return its log.

    environment: with the mark that `runner.environment` sets, by which its processes are known. Raises `EngineFailed`,
    `EngineTimedOut`.
    """
    log = home / "run.log"
    try:
        with log.open("wb") as output:
            child = subprocess.Popen(
                command,
                cwd=home,
                env=environment,
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
    return log


def why_failed(log: Path) -> EngineFailed:
    """Return the error with the last line of a log that tells why there are no figures."""
    lines = [line.strip(" │╭╮╰╯─") for line in log.read_text(encoding="utf-8", errors="replace").splitlines()]
    lines = [line for line in lines if line]
    telling = [line for line in lines if "Error:" in line]
    return EngineFailed((telling or lines or ["no output"])[-1])


def _end_all(home: Path, child: subprocess.Popen[bytes]) -> None:
    """End the child and everything that runs with this home; what is detached would stay."""
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
