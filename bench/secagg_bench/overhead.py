"""What a secure sum costs beside the raw cryptography that it cannot avoid, case by case.

Ratios, not times, are the result: both parts of a ratio are measured in the same process, minutes apart at most.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np
from numpy.typing import NDArray

import secagg
from secagg import roofline


@dataclass(frozen=True, slots=True)
class Case:
    """One round to measure. drop: fraction that vanishes before its masked input."""

    clients: int
    length: int
    drop: float
    adversary: str


@dataclass(frozen=True, slots=True)
class Cost:
    """One measured round. Times in CPU milliseconds (a client's are the mean), bytes per client."""

    case: Case
    client_ms: float
    server_ms: float
    client_ratio: float
    server_ratio: float
    upload_bytes: float


QUICK = tuple(
    Case(clients, length, drop, adversary)
    for adversary in ("semi-honest", "active")
    for clients, length in ((10, 1_000_000), (100, 100_000))
    for drop in (0.0, 0.1, 0.3)
)
FULL = (
    *QUICK,
    *(Case(1000, 100_000, drop, adversary) for adversary in ("semi-honest", "active") for drop in (0.0, 0.1, 0.3)),
)


def measure(case: Case) -> Cost:
    """Run one round and return its cost. Raises `secagg.RoundFailed`, and `ArithmeticError` if the sum is wrong."""
    scheme = secagg.Bonawitz(case.clients, case.length, adversary=case.adversary)

    def vector(participant: int) -> NDArray[np.uint16]:
        stream = np.random.default_rng([0, participant])
        return stream.integers(0, 1 << 16, size=case.length, dtype=np.uint16)

    vanishing = range(1, round(case.drop * case.clients) + 1)
    before = roofline.measure(scheme)
    run = secagg.simulate(scheme, vector, drop=dict.fromkeys(vanishing, secagg.Step.MASKED_INPUT))
    limits = [roofline.limits(scheme, run, costs) for costs in (before, roofline.measure(scheme))]
    expected = np.zeros(case.length, dtype=np.uint64)
    for participant in run.survivors:
        expected += vector(participant)
    if not np.array_equal(run.total, expected):
        raise ArithmeticError(f"the sum of {case} is wrong")
    client, server = sum(run.client_ms.values()), sum(run.server_ms.values())
    return Cost(
        case,
        client,
        server,
        client / fmean(limit.client_ms for limit in limits),
        server / fmean(limit.server_ms for limit in limits),
        fmean(run.bytes_sent[participant] for participant in run.survivors),
    )


def measure_all(cases: Sequence[Case]) -> Iterator[Cost]:
    """Measure cases one after another."""
    for case in cases:
        yield measure(case)
