"""From settings to everything a run needs: silos, model, noise, codec, scheme and the faults to come."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from secagg.codec import Codec, Layout, MeanCodec, fit
from secagg.round.audit import SimulatedTrails
from secagg.schemes import PROTECTING, make_scheme
from secagg_protocols import Policy, Scheme
from secagg_protocols.errors import InputError
from secagg_protocols.primitives.randomness import SYSTEM, InsecureDeterministicRandomness, Randomness

from .accounting import Mechanism, noise_for
from .config import DEFAULT_INSTITUTIONS, TrainConfig
from .csvdata import load_csv
from .data import Dataset, load_breast_cancer
from .fedavg import LocalTraining, largest_coordinate
from .model import Model, Params
from .schedule import RoundPlan, plan_rounds
from .silos import Silo, make_silos

LARGEST_LOT = 4.0
"""Under differential privacy, the codec has room for lots up to this many times the agreed size; beyond, it clips."""

METRICS = {"loss": (0.0, 10.0), "accuracy": (0.0, 1.0)}
"""Local metrics that ride hidden in the sum, with their ranges (loss in nats). Only without differential privacy:
their mean over survivors is a function of raw rows, and no noise covers it."""


@dataclass(frozen=True)
class Setup:
    """A run, ready to go. contribute: the step whose message carries the vector. group_key: of the whole run.

    trails: where each party writes down what it saw.
    """

    config: TrainConfig
    data: Dataset
    silos: tuple[Silo, ...]
    model: Model
    initial: Params
    how: LocalTraining
    mechanism: Mechanism | None
    public_size: int
    codec: Codec
    scheme: Scheme
    group_key: tuple[object, object] | None = field(repr=False)
    contribute: str
    policy: Policy
    plans: tuple[RoundPlan, ...]
    warnings: tuple[str, ...]
    trails: SimulatedTrails | None = field(default=None, repr=False)

    @property
    def update_clip(self) -> float | None:
        """The range of one value of an update, where the codec has one for all."""
        return self.codec.clip if isinstance(self.codec, MeanCodec) else None


def make_setup(config: TrainConfig) -> Setup:
    """Load the data and derive all public constants.

    Raises: InputError (the data cannot be used), ParameterError (the settings do not fit it).
    """
    _check_report(config)
    data = _load(config)
    # One generator per purpose, so that changing one knob leaves the other draws as they were.
    splits, weights, faults = (np.random.default_rng([config.seed, purpose]) for purpose in range(3))
    silos = make_silos(
        data,
        config.institutions or DEFAULT_INSTITUTIONS,
        label_alpha=config.label_alpha,
        size_alpha=config.size_alpha,
        test_fraction=config.test_fraction,
        rng=splits,
    )
    public_size, warnings = _public_size(config, data, silos)
    mechanism = _mechanism(config)
    how = LocalTraining(
        steps=config.local_steps,
        sampling_rate=config.sampling_rate,
        learning_rate=config.learning_rate,
        clip_norm=config.clip_norm,
        prox_mu=config.fedprox_mu,
        noise_multiplier=mechanism.noise_multiplier if mechanism else 0.0,
        lot_size=config.sampling_rate * public_size if mechanism else None,
    )
    model = Model(config.model, len(data.features), config.hidden)
    initial = model.initial(weights)
    codec = _codec(config, how, initial, public_size)
    scheme = _scheme(config, len(silos), codec)
    steps = [str(step) for step in scheme.steps]
    plans = plan_rounds(
        faults,
        [silo.id for silo in silos],
        config.rounds,
        steps,
        dropouts=config.dropouts,
        slow_sites=config.slow_sites,
        deadline_s=config.deadline_s,
    )
    policy = Policy()
    if config.scheme in PROTECTING:
        assert config.colluders is not None  # TrainConfig fills it in
        # Under differential privacy a repeated question is charged to the budget too, which ends the run.
        reruns = config.rounds if config.private else config.reruns
        policy = Policy(colluders=config.colluders, adversary=config.adversary, reruns=reruns)
    scheme.check_policy(policy)
    return Setup(
        config=config,
        data=data,
        silos=silos,
        model=model,
        initial=initial,
        how=how,
        mechanism=mechanism,
        public_size=public_size,
        codec=codec,
        scheme=scheme,
        group_key=scheme.make_group_key(randomness_for(config, "group key")),
        contribute=str(scheme.upload_step),
        policy=policy,
        plans=plans,
        warnings=(*data.warnings, *warnings),
        trails=None if config.audit is None else SimulatedTrails(config.audit, len(silos), config.ciphersuite),
    )


def randomness_for(config: TrainConfig, purpose: str) -> Randomness:
    """Return the door to randomness: the operating system's, whatever the seed, unless the user gave that up.

    `purpose` keeps the seeded streams apart: without it every round would draw the same keys.
    """
    if config.insecure_deterministic:
        return InsecureDeterministicRandomness(f"{config.seed} {purpose}".encode())
    return SYSTEM


def _check_report(config: TrainConfig) -> None:
    """Refuse a report that cannot be written before the work is done, not after it."""
    if config.report is None:
        return
    folder = config.report.parent
    if not folder.is_dir() or config.report.is_dir() or not os.access(folder, os.W_OK):
        raise InputError(f"cannot write the report to {str(config.report)!r}; give a file in a folder that exists")


def _load(config: TrainConfig) -> Dataset:
    if config.csv is None:
        return load_breast_cancer()
    assert config.target is not None  # TrainConfig refuses a CSV file without one
    return load_csv(
        config.csv, config.target, site_column=config.site_column, schema=config.schema, ignore=config.ignore
    )


def _public_size(config: TrainConfig, data: Dataset, silos: tuple[Silo, ...]) -> tuple[int, tuple[str, ...]]:
    """Return the nominal training rows per silo, and a warning if it had to be taken from the rows."""
    if config.public_size is not None:
        return config.public_size, ()
    if data.public_rows is not None:
        return max(1, round(data.public_rows * (1 - config.test_fraction) / len(silos))), ()
    mean = sum(len(silo.train) for silo in silos) / len(silos)
    nominal = 2 ** max(0, round(np.log2(mean)))
    if not config.private:
        return nominal, ()
    return nominal, (
        f"public_size = {nominal} was taken from the data (mean training rows per site, as a power of two), which "
        "no ε covers; agree on a figure beforehand and set it.",
    )


def _mechanism(config: TrainConfig) -> Mechanism | None:
    if not config.private:
        return None
    noise = config.noise_multiplier
    if noise is None:
        assert config.epsilon is not None  # private without a noise multiplier means a target ε
        noise = noise_for(config.epsilon, config.delta, config.sampling_rate, config.local_steps, config.rounds)
    return Mechanism(noise, config.sampling_rate, config.local_steps)


def _codec(config: TrainConfig, how: LocalTraining, params: Params, public_size: int) -> Codec:
    lot = LARGEST_LOT * config.sampling_rate * public_size
    return MeanCodec(
        Layout.of(params),
        clip=config.update_clip or largest_coordinate(how, lot),
        value_bits=config.value_bits,
        weight_max=None if config.private else config.weight_max or min(8 * public_size, (1 << config.value_bits) - 1),
        metrics={} if config.private else METRICS,
    )


def _scheme(config: TrainConfig, participants: int, codec: Codec) -> Scheme:
    shape: dict[str, Any] = {"value_bits": codec.value_bits, "ciphersuite": config.ciphersuite}
    if config.scheme in PROTECTING:
        shape |= {"colluders": config.colluders, "threshold": config.threshold, "adversary": config.adversary}
        shape["dropout_rate"] = config.dropouts / participants
    scheme = make_scheme(config.scheme, participants, codec.length, **shape)
    fit(scheme, codec)
    return scheme
