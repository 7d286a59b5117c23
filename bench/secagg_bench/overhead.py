"""What a secure sum costs beside the raw cryptography that it cannot avoid, case by case.

Ratios, not times, are the result: both parts of a ratio are measured in the same process, minutes apart at most.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from functools import cache
from importlib.metadata import version
from statistics import fmean

import msgspec

import secagg
from secagg import roofline
from secagg.cli.workload import Workload

from .cases import Case

CONVENTIONS = (
    "Times are CPU time of one process, all parties in it: they depend on the machine. Only ratios travel.",
    "A client's figures are means: its times over those who did the step, its bytes over the survivors. Bytes are "
    "encoded envelopes, headers included.",
    "÷ raw: CPU time over the time of the work that cannot be avoided, measured in the same process just before and "
    "just after the round. 1.0 would mean that everything else is free.",
    "That work is mask keystream (8 bytes for each packed word, the width at which masks are added), key agreements "
    "with keys already loaded and, against an active server, making and verifying signatures: a broadcast is signed "
    "once, and bytes under signatures are hashed once by who makes or gets them.",
    "SecAggPlus: masks and agreements along the edges of its graph only, at their expected number.",
    "LightSecAgg: one mask with its random pieces and one key agreement for every peer. Coding and decoding are matrix "
    "products and are not in the limit; its server expands no mask, so it has no limit and no ratio (–).",
    "Dropouts leave before their masked input, when all keys and shares have been dealt. Each sum is compared "
    "with the plain sum of the survivors' vectors, and a wrong one ends the benchmark.",
)


class WrongSum(secagg.SecAggError):
    """A round ended with a sum that is not the survivors'."""


class Both(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A figure of one client and of the server; None where there is none."""

    client: float | None
    server: float | None


class Cost(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One measured round.

    scheme_id: hex. version: of secagg. machine: where it was measured. threshold: who must finish. survivors, dropped:
    counts. max_abs_error: 0, or there would be no cost. client_ms, server_ms: CPU
    milliseconds by step (a client's are means), with their `total`. server_wall_s: elapsed. upload_bytes,
    download_bytes: of a client, mean over survivors. limit_ms: the unavoidable work. ratio: total ÷ limit.
    """

    case: Case
    scheme_id: str
    version: str
    machine: str
    threshold: int
    survivors: int
    dropped: int
    max_abs_error: int
    client_ms: dict[str, float]
    server_ms: dict[str, float]
    server_wall_s: float
    upload_bytes: float
    download_bytes: float
    limit_ms: Both
    ratio: Both

    @property
    def key(self) -> tuple[str, Case, str]:
        """What makes a measurement the same one: scheme id, case, version."""
        return self.scheme_id, self.case, self.version


def key_of(case: Case) -> tuple[str, Case, str]:
    """Return the `key` that a cost of this case would have now."""
    return case.build().id.hex(), case, version("secagg")


@cache
def machine() -> str:
    """Name the machine as far as it matters for times."""
    return f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"


def measure(case: Case, progress: secagg.simulation.Progress | None = None) -> Cost:
    """Run one round and return its cost. Raises `secagg.RoundFailed`, and `WrongSum`."""
    scheme = case.build()
    workload = Workload(0, case.clients, case.length, scheme.value_bits)
    drop = dict.fromkeys(workload.dropouts(case.drop), scheme.upload_step)
    before = roofline.measure(scheme)
    run = secagg.simulate(scheme, workload.vector, drop=drop, progress=progress)
    limits = [roofline.limits(scheme, run, costs) for costs in (before, roofline.measure(scheme))]
    error = workload.largest_difference(run.output)
    if error:
        raise WrongSum(f"the sum is wrong by up to {error}: {describe(case)}")
    client_ms = _by_name(run.client_ms)
    server_ms = _by_name(run.server_ms)
    limit = Both(
        fmean(limit.client_ms for limit in limits) or None,
        fmean(limit.server_ms for limit in limits) or None,
    )
    return Cost(
        case=case,
        scheme_id=scheme.id.hex(),
        version=version("secagg"),
        machine=machine(),
        threshold=scheme.quorum,
        survivors=len(run.survivors),
        dropped=len(drop),
        max_abs_error=error,
        client_ms=client_ms,
        server_ms=server_ms,
        server_wall_s=run.server_wall_s,
        upload_bytes=fmean(run.bytes_sent[participant] for participant in run.survivors),
        download_bytes=fmean(run.bytes_received.get(participant, 0) for participant in run.survivors),
        limit_ms=limit,
        ratio=Both(_ratio(client_ms, limit.client), _ratio(server_ms, limit.server)),
    )


def describe(case: Case) -> str:
    """Return a case as one line for people."""
    return f"{case.scheme} ({case.adversary}), {case.clients} × {case.length:,}, {case.drop:.0%} drop out"


def _by_name(step_ms: Mapping[secagg.Step, float]) -> dict[str, float]:
    named = {step.value: ms for step, ms in step_ms.items()}
    return named | {"total": sum(named.values())}


def _ratio(step_ms: Mapping[str, float], limit_ms: float | None) -> float | None:
    return step_ms["total"] / limit_ms if limit_ms else None
