"""From settings to everything a run needs: silos, model, noise, codec, scheme and the faults to come."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from secagg.codec import Codec, Layout, MeanCodec
from secagg.privacy.mechanism import Mechanism as SumMechanism
from secagg.round.audit import SimulatedTrails
from secagg_protocols import Policy, Scheme
from secagg_protocols.errors import InputError
from secagg_protocols.primitives.randomness import SYSTEM, InsecureDeterministicRandomness, Randomness

from .accounting import Mechanism, noise_for
from .builtin import BUILT_IN
from .cohort import Encodings, make_cohort
from .config import Run, TrainConfig
from .csvdata import load_csv
from .data import Data, Dataset
from .distributed import LARGEST_LOT, Encoding, planned
from .fedavg import LocalTraining, largest_coordinate
from .model import Model, Params
from .privacy import Privacy
from .schedule import RoundPlan, plan_rounds
from .silos import Silo, make_silos

VALUE_BITS = 16
"""On the wire, where no noise asks for another number."""

METRICS = {"loss": (0.0, 10.0), "accuracy": (0.0, 1.0)}
"""Local metrics that ride hidden in the sum, with their ranges (loss in nats). Only without differential privacy:
their mean over survivors is a function of raw rows, and no noise covers it."""


@dataclass(frozen=True)
class Setup:
    """A run, ready to go.

    config: as asked for, with what was left to the data filled in. mechanism: of the noise that each site adds alone;
    None where it adds none, or the sites share it (`encoding.mechanism`). contribute: the step whose message carries
    the vector. group_key: of the whole run. trails: where each party writes down what it saw.
    """

    config: TrainConfig
    data: Dataset
    silos: tuple[Silo, ...]
    model: Model
    initial: Params
    how: LocalTraining
    mechanism: Mechanism | None
    public_size: int
    encoding: Encoding
    scheme: Scheme
    group_key: tuple[object, object] | None = field(repr=False)
    contribute: str
    policy: Policy
    plans: tuple[RoundPlan, ...]
    warnings: tuple[str, ...]
    trails: SimulatedTrails | None = field(default=None, repr=False)

    @property
    def codec(self) -> Codec:
        """What updates are encoded with."""
        return self.encoding.codec

    @property
    def noise_multiplier(self) -> float | None:
        """Standard deviation of the noise over what it hides: a site's own or, shared, the sum's; None without any."""
        own = self.encoding.mechanism or self.mechanism
        if own is None:
            return None
        return own.multiplier if isinstance(own, SumMechanism) else own.noise_multiplier

    @property
    def update_clip(self) -> float | None:
        """The range of one value of an update, where the codec has one for all."""
        return max(self.codec.clips.values()) if isinstance(self.codec, MeanCodec) else None

    @property
    def update_norm(self) -> float | None:
        """The L2 norm of a whole update, where the codec has one."""
        return None if self.encoding.mechanism is None else self.encoding.mechanism.radius


def make_setup(config: TrainConfig) -> Setup:
    """Load the data and derive all public constants.

    Raises: InputError (the data cannot be used), ParameterError (the settings do not fit it).
    """
    _check_files(config.run)
    data = _load(config.data)
    # One generator per purpose, so that changing one setting leaves the other draws as they were.
    splits, weights, faults = (np.random.default_rng([config.run.seed, purpose]) for purpose in range(3))
    silos = make_silos(data, config.data, splits)
    public_size, warnings = _public_size(config, data, silos)
    config = replace(config, privacy=config.privacy.with_delta(len(silos) * public_size))
    mechanism = _mechanism(config)
    how = _local_training(config, mechanism, public_size)
    model = Model(config.training.model, len(data.features), config.training.hidden)
    initial = model.initial(weights)
    cohort = make_cohort(config, len(silos), _encodings(config, how, initial, public_size))
    config = cohort.config
    scheme = cohort.scheme
    steps = [str(step) for step in scheme.steps]
    sites = [silo.id for silo in silos]
    return Setup(
        config=config,
        data=data,
        silos=silos,
        model=model,
        initial=initial,
        how=how,
        mechanism=mechanism,
        public_size=public_size,
        encoding=cohort.encoding,
        scheme=scheme,
        group_key=scheme.make_group_key(randomness_for(config, "group key")),
        contribute=str(scheme.upload_step),
        policy=cohort.policy,
        plans=plan_rounds(faults, sites, config.training.rounds, steps, config.deployment, cohort.fewest),
        warnings=(*cohort.notes, *data.warnings, *warnings),
        trails=_trails(config, len(silos)),
    )


def under_epsilon(setup: Setup, epsilon: float | None) -> Setup:
    """Return the same run under another budget: other noise, and the room for it in the codec."""
    asked = setup.config.privacy
    privacy = Privacy(dp="none") if epsilon is None else replace(asked, epsilon=epsilon, noise_multiplier=None)
    config = replace(setup.config, privacy=privacy, run=replace(setup.config.run, sweep=()))
    mechanism = _mechanism(config)
    how = _local_training(config, mechanism, setup.public_size)
    codec = _codec(config, how, setup.initial, setup.public_size)
    return replace(setup, config=config, mechanism=mechanism, how=how, encoding=Encoding(codec))


def randomness_for(config: TrainConfig, purpose: str) -> Randomness:
    """Return the door to randomness: the operating system's, whatever the seed, unless the user gave that up.

    `purpose` keeps the seeded streams apart: without it every round would draw the same keys.
    """
    if config.run.insecure_deterministic:
        return InsecureDeterministicRandomness(f"{config.run.seed} {purpose}".encode())
    return SYSTEM


def _check_files(run: Run) -> None:
    """Refuse a file that cannot be written before the work is done, not after it."""
    for what, path in (("report", run.report), ("model", run.model_out)):
        if path is not None and (not path.parent.is_dir() or path.is_dir() or not os.access(path.parent, os.W_OK)):
            raise InputError(f"cannot write the {what} to {str(path)!r}; give a file in a folder that exists")


def _trails(config: TrainConfig, participants: int) -> SimulatedTrails | None:
    """Return where each party writes down what it saw; None where nobody is to."""
    if config.run.audit is None:
        return None
    return SimulatedTrails(config.run.audit, participants, config.aggregation.ciphersuite)


def _load(asked: Data) -> Dataset:
    return load_csv(asked) if asked.csv else BUILT_IN[asked.dataset or "breast-cancer"]()


def _public_size(config: TrainConfig, data: Dataset, silos: tuple[Silo, ...]) -> tuple[int, tuple[str, ...]]:
    """Return the nominal training rows, or patients, per silo; and a warning if it is off, or taken from the rows."""
    unit = config.privacy.unit if config.privacy.of_lots else "row"
    mean = sum(_units(data, silo, unit) for silo in silos) / len(silos)
    if (asked := config.privacy.public_size) is not None:
        return asked, _far_off(config, asked, mean, unit)
    if data.public_rows is not None:
        training_rows = data.public_rows * (1 - config.data.test_fraction)
        return max(1, round(training_rows / len(silos))), ()
    nominal = 2 ** max(0, round(np.log2(mean)))
    if not config.privacy.noised:
        return nominal, ()
    return nominal, (
        f"public_size = {nominal} was taken from the data (mean training {unit}s per site, as a power of two), which "
        "no ε covers; agree on a figure beforehand and set it (--public-size).",
    )


def _units(data: Dataset, silo: Silo, unit: str) -> int:
    """Return how many rows a silo trains on, or how many patients they are of."""
    if unit == "row":
        return len(silo.train)
    assert data.patients is not None  # TrainConfig asks for the column
    return len(np.unique(data.patients[silo.train]))


def _far_off(config: TrainConfig, asked: int, mean: float, unit: str) -> tuple[str, ...]:
    """Return a warning where what was agreed on is far from what is there."""
    if 1 / LARGEST_LOT <= asked / mean <= LARGEST_LOT:
        return ()
    if config.privacy.of_lots:
        moves = "the model hardly moves" if asked > mean else "steps are longer than asked for, and many are clipped"
        follows = f"gradients are divided by the former, so {moves}"
    elif asked > mean and config.aggregation.weight_max is None:
        follows = "weights of up to 8 times the former leave few bits of each value, so the mean is coarse"
    else:
        return ()
    return (
        f"public_size = {asked}, and a site trains on {mean:.3g} {unit}s on average: {follows}; agree on a figure that "
        "is nearer (--public-size).",
    )


def _mechanism(config: TrainConfig) -> Mechanism | None:
    privacy = config.privacy
    training = config.training
    if not privacy.noised or privacy.distributed:
        return None
    noise = privacy.noise_multiplier
    if noise is None:
        # Noised without a noise multiplier means a target ε, and `with_delta` fills in δ.
        assert privacy.epsilon is not None
        assert privacy.delta is not None
        noise = noise_for(
            privacy.epsilon,
            privacy.delta,
            training.sampling_rate,
            training.steps,
            training.rounds,
        )
    return Mechanism(noise, training.sampling_rate, training.steps)


def _local_training(config: TrainConfig, mechanism: Mechanism | None, public_size: int) -> LocalTraining:
    """Return what every site does with its rows; where ε is a row's or a patient's, with a public lot size."""
    training = config.training
    privacy = config.privacy
    return LocalTraining(
        steps=training.steps,
        sampling_rate=training.sampling_rate,
        learning_rate=training.learning_rate,
        clip_norm=training.clip_norm,
        prox_mu=training.fedprox_mu,
        noise_multiplier=mechanism.noise_multiplier if mechanism else 0.0,
        lot_size=training.sampling_rate * public_size if privacy.of_lots else None,
        unit="patient" if privacy.unit == "patient" else "row",
    )


def _encodings(config: TrainConfig, how: LocalTraining, params: Params, public_size: int) -> Encodings:
    def encoding(bare: Callable[[int], Scheme], *, colluders: int, tolerated: int) -> Encoding:
        if not config.privacy.distributed:
            return Encoding(_codec(config, how, params, public_size))
        layout = Layout.of(params)
        mechanism = planned(config, bare(layout.size), public_size, colluders=colluders, tolerated=tolerated)
        return Encoding(mechanism.codec(layout), mechanism)

    return encoding


def _codec(config: TrainConfig, how: LocalTraining, params: Params, public_size: int) -> Codec:
    asked = config.aggregation
    value_bits = asked.value_bits or VALUE_BITS
    private = config.privacy.noised
    lot = LARGEST_LOT * config.training.sampling_rate * public_size
    most = min(8 * public_size, (1 << value_bits) - 1)
    return MeanCodec(
        Layout.of(params),
        clip=asked.update_clip or largest_coordinate(how, lot),
        value_bits=value_bits,
        weight_max=None if private else asked.weight_max or most,
        metrics={} if private else METRICS,
    )
