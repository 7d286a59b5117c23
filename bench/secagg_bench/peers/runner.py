"""Runs one contestant at a time, in a process group of its own that does not outlive its turn."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import asdict, dataclass
from enum import StrEnum
from math import ceil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from secagg_protocols.errors import install_line

from .task import Cost, Task

INSTALL = {
    "flower": "pip install 'flwr[simulation]==1.41.0'",
    "flare": "pip install nvflare==2.9.0 tenseal==0.3.18",
    "ours": install_line("he"),
}

GRACE_S = 5
LONGEST_S = 1_000_000
"""What a limit may be: twelve days."""


class Status(StrEnum):
    """How a contestant's turn ended."""

    MEASURED = "measured"
    SKIPPED = "skipped"
    FAILED = "failed"
    TIMED_OUT = "timed out"


@dataclass(frozen=True, slots=True)
class Contestant:
    """module: the one in this package that measures it. against: label of the one that it is divided by."""

    label: str
    module: str
    task: Task
    against: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a contestant. cost: when measured; reason: when not."""

    contestant: Contestant
    status: Status
    cost: Cost | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Ratios:
    """A contestant's cost ÷ that of the one it stands against. *_without_wire: its own serialisation left out."""

    client: float
    server: float
    upload: float
    client_without_wire: float
    server_without_wire: float


def line_up(clients: int, length: int, dropped: int, neighbours: int, threshold: int) -> list[Contestant]:
    """Return the contestants, ours first. On the complete graph the threshold is two thirds of the clients.

    Contestants without a graph of their own stand against ours on the complete one, which is our dearest.
    """
    complete = Task(clients, length, dropped, clients - 1, ceil(2 * clients / 3))
    all_shares = f"{clients}/{complete.threshold}"  # shares of a secret / how many open it
    full = f"ours {all_shares}"
    chosen = [
        Contestant(full, "ours", complete, full),
        Contestant(f"Flower SecAgg+ {all_shares}", "flower", complete, full),
        Contestant("FLARE HE", "flare", complete, full),
        Contestant("naive numpy", "naive", complete, full),
    ]
    if neighbours < clients - 1:
        sparse = Task(clients, length, dropped, neighbours, threshold, scheme="secagg-plus")
        shares = f"{neighbours + 1}/{threshold}"
        ours = f"ours {shares}"
        chosen.insert(1, Contestant(ours, "ours", sparse, ours))
        chosen.insert(2, Contestant(f"Flower SecAgg+ {shares}", "flower", sparse, ours))
    return chosen


def run_one(contestant: Contestant, limit_s: float) -> Outcome:
    """Run one for at most `limit_s` seconds. Whatever it started is gone when this returns, even by an interrupt."""
    with TemporaryDirectory(prefix="secagg-peers-") as name:
        folder = Path(name)
        result = folder / "result.json"
        errors = folder / "stderr"
        command = [sys.executable, "-m", f"{__package__}.worker", contestant.module]
        command += [json.dumps(asdict(contestant.task)), str(result), str(ceil(limit_s) + GRACE_S)]
        with errors.open("wb") as stderr:
            process = subprocess.Popen(
                command,
                cwd=folder,
                env=environment(folder),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=stderr,
                start_new_session=True,
            )
            try:
                process.wait(limit_s)
            except subprocess.TimeoutExpired:
                return Outcome(contestant, Status.TIMED_OUT, reason=f"killed after {limit_s:g} s")
            finally:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        if process.returncode == 0:
            return _read(contestant, json.loads(result.read_text(encoding="utf-8")))
        lines = errors.read_text(encoding="utf-8", errors="replace").split("\n")
        last = next((line.strip() for line in reversed(lines) if line.strip()), f"exit code {process.returncode}")
        return Outcome(contestant, Status.FAILED, reason=last)


def _read(contestant: Contestant, told: dict[str, Any]) -> Outcome:
    if "missing" in told:
        install = INSTALL.get(contestant.module, install_line("bench"))
        return Outcome(contestant, Status.SKIPPED, reason=f"{told['missing']} is not installed; {install}")
    return Outcome(contestant, Status.MEASURED, Cost(**told["cost"]))


def environment(folder: Path) -> dict[str, str]:
    """Nothing is sent anywhere, nothing is written outside `folder`, and imports are as in this process."""
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(str(Path(entry).resolve()) for entry in sys.path if entry),
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "FLWR_HOME": str(folder),
        "FLWR_TELEMETRY_ENABLED": "0",
        "FLWR_DISABLE_UPDATE_CHECK": "1",
        "FLWR_DISABLE_RUNTIME_DEPENDENCY_INSTALLATION": "1",
    }


def ratios(outcome: Outcome, outcomes: list[Outcome]) -> Ratios | None:
    """Return an outcome's cost ÷ that of the one it stands against; None when either was not measured."""
    other = next((each.cost for each in outcomes if each.contestant.label == outcome.contestant.against), None)
    cost = outcome.cost
    if cost is None or other is None:
        return None
    return Ratios(
        cost.client_ms / other.client_ms,
        cost.server_ms / other.server_ms,
        cost.upload_bytes / other.upload_bytes,
        (cost.client_ms - (cost.client_wire_ms or 0)) / other.client_ms,
        (cost.server_ms - (cost.server_wire_ms or 0)) / other.server_ms,
    )
