"""A training run, as it was asked for: a few small values, each checked when made."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

from secagg.schemes import PROTECTING
from secagg_protocols.errors import ParameterError

from .aggregation import Aggregation
from .data import Data
from .privacy import Privacy
from .schedule import Deployment
from .setting import AtLeast, OneOf, Option, check, fields_of
from .training import STEPS, Training

MODEL_SUFFIXES = (".npz", ".safetensors")


class Sweepable(StrEnum):
    """A setting of which several values can be tried."""

    EPSILON = "epsilon"
    SITES = "sites"


@dataclass(frozen=True, kw_only=True)
class Run:
    """What repeats a run, and what it writes."""

    seed: Annotated[
        int,
        AtLeast(0),
        Option("Seed of splits, dropouts and the first model; not of keys or noise."),
    ] = 0
    report: Annotated[Path | None, Option("The HTML report to write.")] = Path("secagg-train.html")
    model_out: Annotated[
        Path | None,
        Option("Write the model here, with what its inputs must look like.", metavar="FILE.npz|.safetensors"),
    ] = None
    sweep: Annotated[
        tuple[Sweepable, ...],
        Option("Also train with other values of ε, or with fewer sites; repeatable, and slow."),
    ] = ()
    audit: Annotated[
        Path | None,
        Option(
            "A new folder: each party's signed log of every round, and their roster.",
            metavar="FOLDER",
        ),
    ] = None
    insecure_deterministic: Annotated[bool, Option("Keys and noise follow --seed too. Never with real data.")] = False

    def __post_init__(self) -> None:
        check(self)
        for setting in self.sweep:
            OneOf(tuple(Sweepable)).check("sweep", setting)
        if self.model_out is not None and self.model_out.suffix.lower() not in MODEL_SUFFIXES:
            formats = " or ".join(MODEL_SUFFIXES)
            raise ParameterError(f"model_out = {str(self.model_out)!r}: end its name in {formats}, the known formats")


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """Defaults: ten unequal hospitals on scikit-learn's breast-cancer data under ε = 3."""

    data: Data = field(default_factory=Data)
    training: Training = field(default_factory=Training)
    privacy: Privacy = field(default_factory=Privacy)
    aggregation: Aggregation = field(default_factory=Aggregation)
    deployment: Deployment = field(default_factory=Deployment)
    run: Run = field(default_factory=Run)

    def __post_init__(self) -> None:
        """Settle and check what concerns two of the values."""
        if self.training.local_steps is None:
            once = self.privacy.distributed and self.privacy.of_lots
            object.__setattr__(self, "training", replace(self.training, local_steps=1 if once else STEPS))
        self._refuse_to_write_over()
        if Sweepable.EPSILON in self.run.sweep and self.privacy.epsilon is None:
            raise ParameterError("sweep = 'epsilon' has no ε to begin with; give an epsilon, or leave the sweep out")
        if not self.privacy.noised:
            if self.privacy.delta is not None:
                raise ParameterError(
                    f"delta = {self.privacy.delta:g} has no use without differential privacy; leave it or --no-dp out"
                )
            return
        self._check_patients()
        if self.privacy.distributed:
            self._check_distributed()
        if self.aggregation.reruns:
            raise ParameterError(
                f"reruns = {self.aggregation.reruns} has no use under differential privacy, where "
                "a repeated round draws new lots and is charged to the budget; leave it out, or set epsilon to None"
            )
        if self.aggregation.weight_max is not None:
            raise ParameterError(
                f"weight_max = {self.aggregation.weight_max} has no use under differential privacy, "
                "where all weights are equal (a weight that follows the data would leak); "
                "leave it out, or set epsilon to None"
            )

    def _check_patients(self) -> None:
        """Raise `ParameterError` where patients are to be protected whom nothing tells apart."""
        if self.privacy.unit == "patient" and self.data.patient_column is None:
            raise ParameterError("unit = patient needs to know whose the rows are: use --patient-column, or --unit row")

    def _refuse_to_write_over(self) -> None:
        """Raise `ParameterError` where a file that is written is one that is read, or one written before it."""
        files = [("schema", self.data.schema)]
        for file in self.data.csv:
            files += [("csv", Path(file)), ("csv", Path(file.partition("=")[2] or file))]
        taken = {path.resolve(): f"{name} = {str(path)!r}" for name, path in files if path is not None}
        for name, path in (("report", self.run.report), ("model_out", self.run.model_out)):
            if path is None:
                continue
            if other := taken.get(path.resolve()):
                raise ParameterError(f"{name} = {str(path)!r} would be written over {other}; give another file")
            taken[path.resolve()] = f"{name} = {str(path)!r}"

    def _check_distributed(self) -> None:
        """Check what noise under the sum asks of the other values."""
        steps = self.training.steps
        unit = self.privacy.unit
        if self.privacy.of_lots and steps > 1:
            raise ParameterError(
                f"local_steps = {steps}: with noise under the sum a {unit} is protected for one step a round, as it "
                f"also moves what other {unit}s do in later ones; use --local-steps 1, --dp local or --unit institution"
            )
        if self.aggregation.update_clip is not None:
            raise ParameterError(
                f"update_clip = {self.aggregation.update_clip:g} has no use with noise under the sum, which needs an "
                "L2 norm; leave it out (--unit institution takes --update-norm)"
            )
        if self.aggregation.scheme not in PROTECTING:
            raise ParameterError(
                f"scheme = {self.aggregation.scheme} shows the server every update, with a part of the noise only; use "
                "--scheme bonawitz, or --dp local"
            )
        if self.run.sweep:
            raise ParameterError(
                f"sweep = {self.run.sweep[0]}: a sweep trains with local noise or with none; leave it out, or use "
                "--dp local"
            )
        dropouts, tolerated = self.deployment.dropouts, self.privacy.tolerated
        if dropouts is not None and tolerated is not None and dropouts > tolerated:
            raise ParameterError(
                f"dropouts = {dropouts} are more than tolerated = {tolerated}, and with more no sum is opened; use "
                f"--tolerated {dropouts}, or --drop-per-round {tolerated} or less"
            )

    @classmethod
    def of(cls, **settings: Any) -> TrainConfig:
        """Make one from settings by their names, whichever value they belong to. Raises `ParameterError`."""
        made = {}
        for group in fields_of(cls):
            own = [field.name for field in fields_of(group.type) if field.name in settings]
            made[group.name] = group.type(**{name: settings.pop(name) for name in own})
        if settings:
            raise ParameterError(f"there is no setting {min(settings)!r}: see the fields of `TrainConfig`")
        return cls(**made)

    @property
    def settings(self) -> dict[str, Any]:
        """Every setting by its name, in one mapping: no two values share a name."""
        return {name: value for group in asdict(self).values() for name, value in group.items()}
