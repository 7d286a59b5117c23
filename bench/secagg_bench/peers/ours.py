"""Ours: Bonawitz on the complete graph, SecAggPlus on a sparse one."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from statistics import fmean

import numpy as np
from numpy.typing import NDArray

import secagg

from .task import NAME, Cost, CpuClock, Task

# k and t are given, as they are to the peers, so the least that SecAggPlus asks of a graph is asked here.
LEAST_SIGMA, LEAST_ETA = 20, 10


def measure(task: Task) -> Cost:
    """Run one round. Raises ArithmeticError if the sum is not exactly the encoded updates' sum."""
    codec, clock = task.codec(), CpuClock()
    expected = np.zeros(codec.length, np.uint64)

    def vector(participant: int) -> NDArray[np.unsignedinteger]:
        update, weight = {NAME: task.update(participant)}, task.weight(participant)
        with clock.spent_on("encode"):
            encoded = codec.encode(update, weight=weight).vector
        np.add(expected, encoded, out=expected)
        return encoded

    run = secagg.simulate(
        scheme_for(task, codec.length), vector, drop=dict.fromkeys(task.vanishing, secagg.Step.MASKED_INPUT)
    )
    if not np.array_equal(run.total, expected):
        raise ArithmeticError("the sum is not the sum of the encoded updates")
    with clock.spent_on("decode"):
        mean = task.mean_of(run.total)
    return Cost(
        version=_version(),
        client_ms=sum(run.client_ms.values()) + clock.ms["encode"] / len(run.survivors),
        server_ms=sum(run.server_ms.values()) + clock.ms["decode"],
        upload_bytes=fmean(run.bytes_sent[participant] for participant in run.survivors),
        max_abs_error=task.error_of(mean),
    )


def scheme_for(task: Task, length: int) -> secagg.Scheme:
    """Return the scheme with the task's k and t."""
    if task.complete:
        return secagg.Bonawitz(task.clients, length, value_bits=task.value_bits, threshold=task.threshold)
    return secagg.SecAggPlus(
        task.clients,
        length,
        value_bits=task.value_bits,
        neighbours=task.neighbours,
        threshold=task.threshold,
        corrupt_rate=0,
        dropout_rate=task.dropped / task.clients,
        sigma=LEAST_SIGMA,
        eta=LEAST_ETA,
    )


def _version() -> str:
    try:
        return version("secagg")
    except PackageNotFoundError:  # run from the source tree
        return "source"
