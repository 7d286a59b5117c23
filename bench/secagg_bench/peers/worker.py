"""`python -m secagg_bench.peers.worker CONTESTANT TASK FILE SECONDS`: measure one and write its cost to a file.

Short rounds are repeated, everybody's by the same rule, and each figure is the median: one short sample on a busy
machine says little, and a process's first round is its slowest.
"""

from __future__ import annotations

import json
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from statistics import median

from secagg.extras import OURS
from secagg_protocols.errors import MissingExtra

from .task import Cost, Task

MOST_ROUNDS = 7
ENOUGH_S = 10.0


def main(contestant: str, task: str, file: str, seconds: str) -> None:
    """Write {"cost": …} or {"missing": module}. Any other failure ends in a traceback on stderr."""
    signal.alarm(int(seconds))  # its own end, should the process that watches it be gone by then
    told: dict[str, object]
    try:
        module = import_module(f"{__package__}.{contestant}")
        told = {"cost": asdict(measure_repeatedly(module.measure, Task(**json.loads(task))))}
    except (ModuleNotFoundError, MissingExtra) as missing:
        name = missing.name or "a package"
        if name.partition(".")[0] in OURS:
            raise
        told = {"missing": name}
    Path(file).write_text(json.dumps(told), encoding="utf-8")


def measure_repeatedly(measure: Callable[[Task], Cost], task: Task) -> Cost:
    """Return the medians of up to MOST_ROUNDS rounds; none is started after ENOUGH_S seconds."""
    began = time.monotonic()
    costs = [measure(task)]
    while len(costs) < MOST_ROUNDS and time.monotonic() - began < ENOUGH_S:
        costs.append(measure(task))
    return medians(costs)


def medians(costs: Sequence[Cost]) -> Cost:
    """Return one cost whose figures are each the median of the costs', and whose error is the largest."""
    last = costs[-1]
    return Cost(
        version=last.version,
        client_ms=median(cost.client_ms for cost in costs),
        server_ms=median(cost.server_ms for cost in costs),
        upload_bytes=median(cost.upload_bytes for cost in costs),
        max_abs_error=max(cost.max_abs_error for cost in costs),
        client_wire_ms=_median_or_none([cost.client_wire_ms for cost in costs]),
        server_wire_ms=_median_or_none([cost.server_wire_ms for cost in costs]),
        rounds=len(costs),
        encrypt_ms=_median_or_none([cost.encrypt_ms for cost in costs]),
        download_bytes=_median_or_none([cost.download_bytes for cost in costs]),
        sent_by_step=_medians([cost.sent_by_step for cost in costs]),
        received_by_step=_medians([cost.received_by_step for cost in costs]),
    )


def _median_or_none(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return median(known) if known else None


def _medians(rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {name: median(row[name] for row in rows) for name in rows[0]}


if __name__ == "__main__":
    main(*sys.argv[1:])
