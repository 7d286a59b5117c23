"""The rounds: train at each site, sum securely, apply the mean; beside it the same training with a plain mean."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from secagg import Run, Simulation
from secagg.codec import Influence
from secagg.round.audit import Stamp, model_digest
from secagg_protocols import MemoryLedger, Randomness, RoundContext
from secagg_protocols.errors import RoundFailed

from .accounting import VIEWS, Ledger
from .context import context_digest
from .evaluate import held_out, score
from .fedavg import Update, local_update
from .model import Params
from .result import RoundRecord
from .setup import Setup, randomness_for
from .silos import Silo
from .stream import SECRET_BYTES, SiteStream

Vectors = dict[int, NDArray[np.unsignedinteger[Any]]]
"""Site to its encoded update."""


@dataclass(frozen=True)
class Outcome:
    """Where both trainings ended, round by round, what was charged to whom, and why it stopped early, if it did."""

    secure: Params
    plain: Params
    records: tuple[RoundRecord, ...]
    ledger: Ledger
    stopped: str | None


@dataclass(frozen=True)
class Sum:
    """What one successful round yields: the mean that was applied and how far it is from the exact one."""

    mean: Params
    survivors: tuple[int, ...]
    bytes: int
    error: float
    bound: float
    influence: Influence
    metrics: Mapping[str, float]


def federate(setup: Setup, tell: Callable[[int, str], None]) -> Outcome:
    """Run every planned round until the plan or the privacy budget ends; `tell` hears of each as it is done.

    A failed round leaves the model as it was and is charged like any other. Asking about the same model again is then a
    second release: under differential privacy it is charged too; without, sites answer again as often as `reruns` says,
    and then training stops.
    """
    door = randomness_for(setup.config, "run")
    secret, job = door.bytes(SECRET_BYTES), f"secagg-train-{door.bytes(8).hex()}"
    answered = {silo.id: MemoryLedger() for silo in setup.silos}
    x, y = held_out(setup.data, setup.silos)
    ledger = Ledger(setup.mechanism, setup.config.delta)
    secure = plain = setup.initial
    records: list[RoundRecord] = []
    repeats = 0
    stopped: str | None = None
    steps = [str(step) for step in setup.scheme.steps]
    for number, plan in enumerate(setup.plans, start=1):
        started = time.perf_counter()
        trains = plan.trains(steps, setup.contribute)
        if _over_budget(setup, ledger, trains):
            stopped = f"the budget ε = {setup.config.epsilon:g} is spent"
            break
        updates = {silo.id: _train(setup, secure, silo, secret, number) for silo in setup.silos if silo.id in trains}
        ledger.charge(trains)
        randomness = randomness_for(setup.config, f"round {number}")
        vectors, clipped = _encode(setup, updates, randomness)
        context = RoundContext(job, number, context_digest(secure, setup.how, setup.codec.digest))
        simulation = Simulation(
            setup.scheme,
            vectors.__getitem__,
            drop=plan.drops(setup.contribute),
            context=context,
            policy=setup.policy,
            randomness=randomness,
            ledgers=answered,
            group_key=setup.group_key,
        )
        before = secure
        done, failed = None, None
        try:
            done = _decode(setup, simulation.run(), updates)
        except RoundFailed as error:
            failed = str(error)
            if steps.index(error.step) >= steps.index(setup.contribute):
                repeats += 1
            if repeats > setup.policy.reruns:
                stopped = (
                    f"round {number} failed after masked updates had been sent, and without differential privacy "
                    f"no site answers twice for the same model (reruns = {setup.policy.reruns})"
                )
        if done is not None:
            secure = _add(secure, done.mean)
            repeats = 0
            present = [silo for silo in setup.silos if silo.id in done.survivors]
            theirs = {silo.id: _train(setup, plain, silo, secret, number) for silo in present}
            plain = _add(plain, exact_mean(setup, theirs, done.survivors))
        if setup.trails is not None:
            setup.trails.write(simulation, _stamp(setup, before, secure, ledger))
        now, beside = score(setup.model, secure, x, y), score(setup.model, plain, x, y)
        records.append(
            RoundRecord(
                round=number,
                auc=now.auc,
                accuracy=now.accuracy,
                plain_auc=beside.auc,
                plain_accuracy=beside.accuracy,
                survivors=done.survivors if done else (),
                dropped=plan.drops(setup.contribute),
                late=tuple(sorted(plan.late)),
                bytes=done.bytes if done else None,
                seconds=time.perf_counter() - started,
                simulated_seconds=plan.simulated_s(),
                epsilon=ledger.epsilon(),
                codec_error=done.error if done else None,
                codec_bound=done.bound if done else None,
                influence=done.influence.within if done else None,
                clipped=clipped,
                loss=done.metrics.get("loss") if done else None,
                local_accuracy=done.metrics.get("accuracy") if done else None,
                failed=failed,
            )
        )
        tell(number, _line(records[-1], len(setup.silos)))
        if stopped is not None:
            break
    return Outcome(secure, plain, tuple(records), ledger, stopped)


def _stamp(setup: Setup, before: Params, after: Params, ledger: Ledger) -> Stamp:
    """Return what is recorded of a round beside the protocol: its models, and what has been spent."""
    spent = ledger.epsilon()
    return Stamp(
        now=datetime.now(UTC),
        model=model_digest(before),
        model_after=model_digest(after),
        epsilon={} if spent is None else dict.fromkeys(VIEWS, spent),
        delta=setup.config.delta if setup.mechanism else None,
        insecure_deterministic=setup.config.insecure_deterministic,
    )


def weight_of(setup: Setup, site: int) -> int:
    """Return a site's weight in the mean: 1 under differential privacy, else its training rows up to the public cap."""
    cap = setup.codec.weight_max
    return 1 if cap is None else min(len(setup.silos[site - 1].train), cap)


def exact_mean(setup: Setup, updates: Mapping[int, Update], survivors: tuple[int, ...]) -> Params:
    """Return the weighted mean of the survivors' updates, within the codec's range, in float64."""
    weights = {site: weight_of(setup, site) for site in survivors}
    total = sum(weights.values())
    mean = {name: np.zeros_like(array) for name, array in setup.initial.items()}
    for site in survivors:
        counted = setup.codec.in_range(updates[site].delta)
        assert isinstance(counted, Mapping)  # the layout was made of a mapping
        for name, values in counted.items():
            mean[name] = mean[name] + weights[site] / total * values
    return mean


def _over_budget(setup: Setup, ledger: Ledger, trains: frozenset[int]) -> bool:
    budget = setup.config.epsilon
    if budget is None:
        return False
    after = ledger.epsilon(ledger.worst_after(trains))
    return after is not None and after > budget


def _train(setup: Setup, start: Params, silo: Silo, secret: bytes, number: int) -> Update:
    data = setup.data
    stream = SiteStream(secret, silo.id, number)
    return local_update(setup.model, start, data.x[silo.train], data.y[silo.train], setup.how, stream)


def _encode(setup: Setup, updates: Mapping[int, Update], randomness: Randomness) -> tuple[Vectors, int]:
    """Encode every update; return the vectors by site and how many coordinates were clipped."""
    vectors: Vectors = {}
    clipped = 0
    for site, update in updates.items():
        metrics = {"loss": update.loss, "accuracy": update.accuracy} if setup.codec.metrics else {}
        weight = None if setup.codec.weight_max is None else weight_of(setup, site)
        encoded = setup.codec.encode(update.delta, weight=weight, metrics=metrics, randomness=randomness)
        vectors[site] = encoded.vector
        clipped += encoded.clipped
    return vectors, clipped


def _decode(setup: Setup, run: Run, updates: Mapping[int, Update]) -> Sum:
    """Turn the protocol's output into the mean update, and measure it against the exact mean."""
    decoded = setup.codec.decode(run.total, len(run.survivors))
    assert isinstance(decoded.arrays, dict)  # the layout was made of a mapping
    exact = exact_mean(setup, updates, run.survivors)
    return Sum(
        mean={name: np.asarray(array, dtype=np.float64) for name, array in decoded.arrays.items()},
        survivors=run.survivors,
        # Everything passes through the server, so these two are all traffic there is.
        bytes=sum(run.bytes_sent.values()) + sum(run.bytes_received.values()),
        error=max(float(np.abs(decoded.arrays[name] - exact[name]).max()) for name in exact),
        bound=setup.codec.error_bound(len(run.survivors), decoded.weight),
        influence=setup.codec.influence(len(run.survivors), decoded.weight),
        metrics=decoded.metrics,
    )


def _add(params: Params, change: Params) -> Params:
    return {name: params[name] + change[name] for name in params}


def _line(record: RoundRecord, sites: int) -> str:
    """Return one line on a finished round, for the progress bar."""
    if record.failed is not None:
        return f"round {record.round}: {record.failed.removeprefix('round ')}"
    spent = "" if record.epsilon is None else f", ε {record.epsilon:.2f}"
    return f"round {record.round}: AUC {record.auc:.4f}, {len(record.survivors)} of {sites} in the sum{spent}"
