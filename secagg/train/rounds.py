"""The rounds: train at each site, sum securely, apply the mean; beside it the same training with a plain mean."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np

from secagg.codec import Influence
from secagg.privacy.views import epsilon_text
from secagg.round.audit import Stamp, model_digest
from secagg_protocols import Output, Randomness
from secagg_protocols.errors import RoundFailed

from .accounting import Ledger
from .distributed import SumLedger
from .evaluate import Score, held_out, score
from .examples import Examples
from .fedavg import Update, local_update
from .model import Params
from .result import RoundRecord
from .schedule import RoundPlan
from .setup import Setup, randomness_for
from .silos import Silo
from .sites import Question, Sites, Vectors
from .stream import SECRET_BYTES, SiteStream


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


class Federation:
    """A training as far as it has come."""

    def __init__(self, setup: Setup) -> None:
        door = randomness_for(setup.config, "run")
        self._setup = setup
        self._secret = door.bytes(SECRET_BYTES)
        self._sites = Sites(setup, f"secagg-train-{door.bytes(8).hex()}")
        self._held_out = held_out(setup.data, setup.silos)
        self._steps = [str(step) for step in setup.scheme.steps]
        self._repeats = 0
        self._made = False
        self.ledger = _ledger(setup)
        self.secure = self.plain = setup.initial
        self.records: list[RoundRecord] = []
        self.stopped: str | None = None

    def round(self, number: int, plan: RoundPlan) -> None:
        """Run one round, or stop because the budget does not allow it."""
        setup = self._setup
        started = time.perf_counter()
        trains = plan.trains(self._steps, setup.contribute)
        if _over_budget(setup, self.ledger, trains):
            self.stopped = f"the budget ε = {setup.config.privacy.epsilon:g} is spent"
            return
        updates = self._train(self.secure, trains, number)
        self.ledger.charge(trains)
        done, failed, clipped = self._sum(number, plan, updates)
        if done is not None:
            theirs = self._train(self.plain, done.survivors, number)
            self.plain = moved(self.plain, exact_mean(setup, theirs, done.survivors))
        self._made = self._made or done is not None
        now, beside = (self._score(params) for params in (self.secure, self.plain))
        self.records.append(
            RoundRecord(
                round=number,
                auc=now.auc if now else None,
                accuracy=now.accuracy if now else None,
                plain_auc=beside.auc if beside else None,
                plain_accuracy=beside.accuracy if beside else None,
                survivors=done.survivors if done else (),
                dropped=plan.drops(setup.contribute),
                late=tuple(sorted(plan.late)),
                bytes=done.bytes if done else None,
                seconds=time.perf_counter() - started,
                simulated_seconds=plan.simulated_s(),
                epsilon=self.ledger.spent(),
                noise_multiplier=self.ledger.multiplier,
                codec_error=done.error if done else None,
                codec_bound=done.bound if done else None,
                influence=done.influence.within if done else None,
                clipped=clipped,
                loss=done.metrics.get("loss") if done else None,
                local_accuracy=done.metrics.get("accuracy") if done else None,
                failed=failed,
            )
        )

    def _score(self, params: Params) -> Score | None:
        """Score a model that a round has made; None for the one that all began with."""
        return score(self._setup.model, params, *self._held_out) if self._made else None

    def _train(self, start: Params, sites: Collection[int], number: int) -> dict[int, Update]:
        silos = [silo for silo in self._setup.silos if silo.id in sites]
        return {silo.id: train_site(self._setup, start, silo, self._secret, number) for silo in silos}

    def _sum(self, number: int, plan: RoundPlan, updates: Mapping[int, Update]) -> tuple[Sum | None, str | None, int]:
        """Sum updates securely, and apply their mean. Return the sum, or why there is none; and what was clipped."""
        setup = self._setup
        before = self.secure
        randomness = randomness_for(setup.config, f"round {number}")
        vectors, clipped = _encode(setup, updates, randomness)
        stamp = _stamp(setup, before, before, self.ledger)
        question = Question(number, before, plan.drops(setup.contribute), replace(stamp, model_after=b""), randomness)
        asked = self._sites.round(question, vectors)
        done = None
        failed = None
        try:
            done = _decode(setup, asked.run(), updates, asked.travelled)
            self.ledger.settle(len(setup.silos) - len(done.survivors))
            self.secure = moved(before, done.mean)
            self._repeats = 0
        except RoundFailed as error:
            failed = str(error)
            self._failed_in(number, error.step)
        if setup.trails is not None:
            setup.trails.server.write_round(asked.round, _stamp(setup, before, self.secure, self.ledger))
        return done, failed, clipped

    def _failed_in(self, number: int, step: str) -> None:
        """Stop, if what sites have answered in a round that failed may not be asked of them again."""
        reruns = self._setup.policy.reruns
        if self._steps.index(step) >= self._steps.index(self._setup.contribute):
            self._repeats += 1
        if self._repeats > reruns:
            self.stopped = (
                f"round {number} failed after masked updates had been sent, and without differential privacy "
                f"no site answers twice for the same model (reruns = {reruns})"
            )


def federate(setup: Setup, tell: Callable[[int, str], None]) -> Outcome:
    """Run every planned round until the plan or the privacy budget ends; `tell` hears of each as it is done.

    A failed round leaves the model as it was and is charged like any other. Asking about the same model again is then a
    second release: under differential privacy it is charged too; without, sites answer again as often as `reruns` says,
    and then training stops.
    """
    federation = Federation(setup)
    for number, plan in enumerate(setup.plans, start=1):
        federation.round(number, plan)
        if len(federation.records) == number:
            tell(number, _line(federation.records[-1], len(setup.silos)))
        if federation.stopped is not None:
            break
    return Outcome(
        federation.secure, federation.plain, tuple(federation.records), federation.ledger, federation.stopped
    )


def _stamp(setup: Setup, before: Params, after: Params, ledger: Ledger) -> Stamp:
    """Return what is recorded of a round beside the protocol: its models, and what has been spent."""
    spent = {} if setup.trails is None else {view: value for view, value in ledger.views().items() if value is not None}
    return Stamp(
        now=datetime.now(UTC),
        model=model_digest(before),
        model_after=model_digest(after),
        epsilon=spent,
        delta=setup.config.privacy.delta,
        insecure_deterministic=setup.config.run.insecure_deterministic,
    )


def _ledger(setup: Setup) -> Ledger:
    privacy = setup.config.privacy
    shared = setup.encoding.mechanism
    if shared is None:
        return Ledger(setup.mechanism, privacy.delta)
    assert privacy.delta is not None  # `with_delta` has filled it in
    rate = setup.config.training.sampling_rate if privacy.of_lots else 1.0
    return SumLedger(shared, privacy.delta, rate, setup.scheme.guarantee.statistical_bits)


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
    budget = setup.config.privacy.epsilon
    if budget is None:
        return False
    after = ledger.spent_after(trains)
    return after is not None and after > budget


def train_site(setup: Setup, start: Params, silo: Silo, secret: bytes, number: int) -> Update:
    """Train at one site from `start`; `secret` and the round's number give its draws."""
    data = setup.data
    stream = SiteStream(secret, silo.id, number)
    patients = data.patients if setup.how.unit == "patient" else None
    whose = None if patients is None else patients[silo.train]
    examples = Examples.of(data.x[silo.train], data.y[silo.train], whose)
    return local_update(setup.model, start, examples, setup.how, stream)


def _encode(setup: Setup, updates: Mapping[int, Update], randomness: Randomness) -> tuple[Vectors, int]:
    """Encode every update; return the vectors by site and how many coordinates were clipped."""
    vectors = {}
    clipped = 0
    for site, update in updates.items():
        metrics = {"loss": update.loss, "accuracy": update.accuracy} if setup.codec.metrics else {}
        weight = None if setup.codec.weight_max is None else weight_of(setup, site)
        encoded = setup.codec.encode(update.delta, weight=weight, metrics=metrics, randomness=randomness)
        vectors[site] = encoded.vector
        clipped += encoded.clipped
    return vectors, clipped


def _decode(setup: Setup, output: Output, updates: Mapping[int, Update], travelled: int) -> Sum:
    """Turn the protocol's output into the mean update, and measure it against the exact mean."""
    decoded = setup.codec.decode(output.total, len(output.survivors))
    assert isinstance(decoded.arrays, dict)  # the layout was made of a mapping
    exact = exact_mean(setup, updates, output.survivors)
    return Sum(
        mean={name: np.asarray(array, dtype=np.float64) for name, array in decoded.arrays.items()},
        survivors=output.survivors,
        bytes=travelled,
        error=max(float(np.abs(decoded.arrays[name] - exact[name]).max()) for name in exact),
        bound=setup.codec.error_bound(len(output.survivors), decoded.weight),
        influence=setup.codec.influence(len(output.survivors), decoded.weight),
        metrics=decoded.metrics,
    )


def moved(params: Params, change: Params) -> Params:
    """Return the model after a change to it."""
    return {name: params[name] + change[name] for name in params}


def _line(record: RoundRecord, sites: int) -> str:
    """Return one line on a finished round, for the progress bar."""
    if record.failed is not None:
        return f"round {record.round}: {record.failed.removeprefix('round ')}"
    spent = "" if record.epsilon is None else f", ε {epsilon_text(record.epsilon)}"
    return f"round {record.round}: AUC {record.auc:.4f}, {len(record.survivors)} of {sites} in the sum{spent}"
