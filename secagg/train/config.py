"""Every knob of a training run, checked when made."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from secagg.schemes import ONE_KEY, SCHEMES, WITHSTAND_ACTIVE
from secagg_protocols.errors import ParameterError

MODELS = ("logistic", "mlp")
ADVERSARIES = ("semi-honest", "active")
CIPHERSUITES = ("x25519", "p256")
DEFAULT_INSTITUTIONS = 10
LARGEST_EPSILON = 100.0


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """A training run. Defaults: ten unequal hospitals on scikit-learn's breast-cancer data under ε = 3.

    Data
        csv             file with a header row; None: scikit-learn's breast-cancer data
        target          its column with two classes
        site_column     its column that names each row's institution; None: rows are dealt by a Dirichlet draw
        schema          JSON file of public constants per column (see `secagg.train.schema`)
        ignore          columns to leave out
        institutions    number of silos, ≥ 3 (None: 10, or as many as the site column names)
        label_alpha     Dirichlet concentration of labels within a silo; smaller is more skewed
        size_alpha      Dirichlet concentration of silo sizes; smaller is more unequal
        test_fraction   share of each silo's rows held out, in (0, 1)
    Local training
        model           "logistic" or "mlp" (one hidden tanh layer of `hidden` units)
        rounds          communication rounds
        local_steps     gradient steps per round
        sampling_rate   probability with which each row joins a step's lot (Poisson), in (0, 1]
        learning_rate   step length
        clip_norm       L2 bound on each example's gradient
        fedprox_mu      FedProx's proximal weight; 0 is FedAvg
    Privacy
        epsilon         budget for the whole run, example-level; None: no differential privacy
        delta           failure probability of that guarantee, in (0, 1)
        noise_multiplier  noise standard deviation over `clip_norm`; None: the least that meets `epsilon`
        public_size     agreed nominal number of training rows per silo; gradients are divided by
                        sampling_rate × public_size, never by a silo's own count
    Aggregation
        scheme          the name of any scheme (`secagg schemes`)
        adversary       the server: "active", "semi-honest", or "strongest": active where the scheme can
        colluders       participants assumed to collude with the server; None: 1, under bfv and ckks, which withstand
                        none, 0
        threshold       participants needed to open a sum; None: derived
        reruns          without differential privacy: how often a site answers again for one model, when a round failed
                        after updates had been sent; two such sums may differ by one site's update
        ciphersuite     "x25519" or "p256"
        value_bits      bits per coordinate on the wire
        update_clip     bound per coordinate of an update; None: derived from the optimiser settings
        weight_max      public cap on a silo's weight without differential privacy; None: 8 × public_size, or
                        what one coordinate of value_bits holds
    Deployment (simulated; nothing sleeps)
        dropouts        silos that vanish in every round, at varying steps
        deadline_s      seconds a round waits for masked inputs
        slow_sites      silos that take about twice as long as the others
    Run
        seed            drives data splits, drop-outs and model initialisation; never keys or noise
        insecure_deterministic  keys and noise follow the seed too: for debugging only, and the report says so
        report          where to write the HTML report; None: nowhere
        audit           new folder for each party's signed log of every round, and their roster; None: none is kept
    """

    csv: Path | None = None
    target: str | None = None
    site_column: str | None = None
    schema: Path | None = None
    ignore: tuple[str, ...] = ()
    institutions: int | None = None
    label_alpha: float = 0.5
    size_alpha: float = 2.0
    test_fraction: float = 0.25

    model: str = "logistic"
    hidden: int = 16
    rounds: int = 20
    local_steps: int = 2
    sampling_rate: float = 0.5
    learning_rate: float = 2.0
    clip_norm: float = 0.5
    fedprox_mu: float = 0.0

    epsilon: float | None = 3.0
    delta: float = 1e-5
    noise_multiplier: float | None = None
    public_size: int | None = None

    scheme: str = "bonawitz"
    adversary: str = "strongest"
    colluders: int | None = None
    threshold: int | None = None
    reruns: int = 0
    ciphersuite: str = "x25519"
    value_bits: int = 16
    update_clip: float | None = None
    weight_max: int | None = None

    dropouts: int = 2
    deadline_s: float = 60.0
    slow_sites: int = 1

    seed: int = 0
    insecure_deterministic: bool = False
    report: Path | None = Path("secagg-train.html")
    audit: Path | None = None

    def __post_init__(self) -> None:
        self._check_data()
        self._check_training()
        self._check_privacy()
        self._check_aggregation()

    @property
    def private(self) -> bool:
        """Whether local training is differentially private."""
        return self.epsilon is not None or self.noise_multiplier is not None

    def _check_data(self) -> None:
        if self.csv is None:
            for name in ("target", "site_column", "schema", "ignore"):
                if getattr(self, name):
                    raise ParameterError(f"{name} = {getattr(self, name)!r} needs a CSV file; give csv as well")
        elif self.target is None:
            raise ParameterError(f"csv = {str(self.csv)!r} needs a target: name its column with the two classes")
        if self.site_column is not None and self.site_column == self.target:
            raise ParameterError(f"column {self.target!r} is both target and site column; name two different columns")
        if self.site_column is not None and self.institutions is not None:
            raise ParameterError(
                f"institutions = {self.institutions} and site_column = {self.site_column!r}: "
                "the site column already says how many there are; give one of the two"
            )
        if self.institutions is not None:
            _at_least("institutions", self.institutions, 3)
        _positive("label_alpha", self.label_alpha)
        _positive("size_alpha", self.size_alpha)
        _open_unit("test_fraction", self.test_fraction)

    def _check_training(self) -> None:
        _one_of("model", self.model, MODELS)
        for name in ("hidden", "rounds", "local_steps"):
            _at_least(name, getattr(self, name), 1)
        for name in ("learning_rate", "clip_norm"):
            _positive(name, getattr(self, name))
        if not 0 < self.sampling_rate <= 1:
            raise ParameterError(f"sampling_rate = {self.sampling_rate!r} must be in (0, 1]")
        # Beyond 1 a proximal step overshoots the global model, and the bound on an update no longer holds.
        if not 0 <= self.fedprox_mu * self.learning_rate <= 1:
            raise ParameterError(
                f"fedprox_mu = {self.fedprox_mu!r} must be between 0 and 1/learning_rate = {1 / self.learning_rate:g}"
            )

    def _check_privacy(self) -> None:
        if self.epsilon is not None:
            _positive("epsilon", self.epsilon)
            if self.epsilon > LARGEST_EPSILON:
                raise ParameterError(
                    f"epsilon = {self.epsilon:g} protects nobody; use at most {LARGEST_EPSILON:g}, "
                    "or None for no differential privacy"
                )
        if self.noise_multiplier is not None:
            _positive("noise_multiplier", self.noise_multiplier)
        _open_unit("delta", self.delta)
        if self.public_size is not None:
            _at_least("public_size", self.public_size, 1)

    def _check_aggregation(self) -> None:
        _one_of("scheme", self.scheme, SCHEMES)
        if self.adversary == "strongest":
            object.__setattr__(self, "adversary", "active" if self.scheme in WITHSTAND_ACTIVE else "semi-honest")
        _one_of("adversary", self.adversary, ADVERSARIES)
        _one_of("ciphersuite", self.ciphersuite, CIPHERSUITES)
        if self.colluders is None:
            object.__setattr__(self, "colluders", 0 if self.scheme in ONE_KEY else 1)
        for name in ("colluders", "reruns", "dropouts", "slow_sites", "seed"):
            _at_least(name, getattr(self, name), 0)
        if self.reruns and self.private:
            raise ParameterError(
                f"reruns = {self.reruns} has no use under differential privacy, where every repeated round is charged "
                "to the budget; leave it out or set epsilon to None"
            )
        for name in ("update_clip", "deadline_s"):
            if getattr(self, name) is not None:
                _positive(name, getattr(self, name))
        if self.weight_max is not None:
            _at_least("weight_max", self.weight_max, 1)
            if self.private:
                raise ParameterError(
                    f"weight_max = {self.weight_max} has no use under differential privacy, where all weights are "
                    "equal (a weight that follows the data would leak); leave it out or set epsilon to None"
                )


def _positive(name: str, value: float) -> None:
    if not (value > 0 and math.isfinite(value)):
        raise ParameterError(f"{name} = {value!r} must be a finite number above 0")


def _open_unit(name: str, value: float) -> None:
    if not 0 < value < 1:
        raise ParameterError(f"{name} = {value!r} must be strictly between 0 and 1")


def _at_least(name: str, value: int, least: int) -> None:
    if value < least:
        raise ParameterError(f"{name} = {value!r} must be at least {least}")


def _one_of(name: str, value: str, known: Collection[str]) -> None:
    if value not in known:
        raise ParameterError(f"{name} = {value!r} is not known; choose {' or '.join(known)}")
