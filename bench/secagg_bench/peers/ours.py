"""Ours: any scheme, by its name."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from itertools import count
from statistics import fmean
from typing import Any

import numpy as np
from numpy.typing import NDArray

import secagg
from secagg.codec import fit
from secagg.schemes import SCHEMES, make_scheme, parameters_of

from .task import NAME, Cost, CpuClock, Task

# k and t are given, as they are to the peers, so the least that SecAggPlus asks of a graph is asked here.
LEAST_SIGMA = 20
LEAST_ETA = 10


def measure(task: Task) -> Cost:
    """Run one round. Raises ArithmeticError if the sum is not that of the encoded updates.

    Making the group key, where a scheme has one, is outside the times: it serves many rounds.
    """
    codec = task.codec()
    clock = CpuClock()
    expected = np.zeros(codec.length, np.uint64)

    def vector(participant: int) -> NDArray[np.unsignedinteger]:
        update = {NAME: task.update(participant)}
        weight = task.weight(participant)
        with clock.spent_on("encode"):
            encoded = codec.encode(update, weight=weight).vector
        np.add(expected, encoded, out=expected)
        return encoded

    scheme = scheme_for(task)
    fit(scheme, codec)
    run = secagg.simulate(scheme, vector, drop=dropouts(scheme, task))
    if (run.total != expected).any():
        raise ArithmeticError("the sum is not the sum of the encoded updates")
    with clock.spent_on("decode"):
        mean = task.mean_of(run.total)
    encoding = clock.ms["encode"] / len(run.survivors)
    return Cost(
        version=_version(),
        client_ms=sum(run.client_ms.values()) + encoding,
        server_ms=sum(run.server_ms.values()) + clock.ms["decode"],
        upload_bytes=fmean(run.bytes_sent[participant] for participant in run.survivors),
        max_abs_error=task.error_of(mean),
        encrypt_ms=run.client_ms[scheme.upload_step] + encoding,
        download_bytes=fmean(run.bytes_received.get(participant, 0) for participant in run.survivors),
        sent_by_step={step.value: sent for step, sent in run.sent_by_step.items()},
        received_by_step={step.value: received for step, received in run.received_by_step.items()},
    )


def scheme_for(task: Task) -> secagg.Scheme:
    """Return the task's scheme, with its k and t. Raises `secagg.ParameterError` for what the scheme refuses."""
    length = task.codec().length
    if "neighbours" not in parameters_of(task.scheme):
        shape = {"value_bits": task.value_bits, "threshold": task.threshold}
        return make_scheme(task.scheme, task.clients, length, **shape)
    graph: dict[str, Any] = {
        "value_bits": task.value_bits,
        "neighbours": task.neighbours,
        "threshold": task.threshold,
        "corrupt_rate": 0,
        "dropout_rate": task.dropped / task.clients,
        "sigma": LEAST_SIGMA,
        "eta": LEAST_ETA,
    }
    return SCHEMES[task.scheme](task.clients, length, **graph)


def dropouts(scheme: secagg.Scheme, task: Task) -> dict[int, secagg.Step]:
    """Return who drops out before which step's message: participants 1, 2 …, in the order of the steps."""
    losses = task.losses or {scheme.upload_step.value: task.dropped}
    numbers = count(1)
    return {next(numbers): step for step in scheme.steps for _ in range(losses.get(step.value, 0))}


def _version() -> str:
    try:
        return version("secagg")
    except PackageNotFoundError:  # run from the source tree
        return "source"
