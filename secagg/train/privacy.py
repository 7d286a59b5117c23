"""The privacy that a run asks for. What it costs and spends: `secagg.train.accounting`, `secagg.train.distributed`."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Annotated, Literal

from secagg.privacy.plan import INSTITUTION_DELTA
from secagg_protocols.errors import ParameterError

from .setting import AtLeast, AtMost, BelowOne, Option, Positive, Setting, check

LARGEST_EPSILON = 100.0
LARGEST_PUBLIC_SIZE = 1_000_000_000
USUAL_DELTA = 1e-5
LEAST_DELTA = 1e-12
"""The accountant rounds up by a mass of 10⁻¹⁵, which is a thousandth of this; near it, ε would be infinite."""


@dataclass(frozen=True, kw_only=True)
class Privacy:
    """Differential privacy of every row, patient or institution, and where its noise is added.

    "local": each site adds all of it to its own gradients, as if nobody summed. "distributed": all add a part, and the
    sum has what one alone would have added (docs/privacy.md).
    """

    dp: Annotated[
        Literal["none", "local", "distributed"],
        Option("Whose noise: none, all of it at each site (local), or shared under the sum (distributed)."),
    ] = "local"
    unit: Annotated[
        Literal["row", "patient", "institution"],
        Option(
            "Whom ε protects: a training row; a patient within one institution, by --patient-column; or, with --dp "
            "distributed, all that an institution sends."
        ),
    ] = "row"

    epsilon: Annotated[float | None, Positive(), Setting("budget of the whole run; None: no differential privacy")] = (
        3.0
    )
    delta: Annotated[
        float | None,
        BelowOne(),
        Option("Failure probability of that guarantee; by default 1e-5, or less where there are many rows."),
    ] = None
    noise_multiplier: Annotated[
        float | None, Positive(), Setting("noise over clip_norm; None: the least that meets epsilon")
    ] = None
    tolerated: Annotated[
        int | None,
        AtLeast(0),
        Option("With --dp distributed: dropouts with which its noise is still enough; by default those simulated."),
    ] = None
    update_norm: Annotated[
        float | None,
        Positive(),
        Option("With --unit institution: L2 norm that a whole update is clipped to; by default derived."),
    ] = None
    # Gradients are divided by sampling_rate × public_size, never by a site's own count.
    public_size: Annotated[
        int | None,
        AtLeast(1),
        AtMost(LARGEST_PUBLIC_SIZE),
        Option("Agreed nominal number of training rows per institution; with --unit patient, of patients."),
    ] = None

    def __post_init__(self) -> None:
        check(self)
        if self.dp == "none":
            object.__setattr__(self, "epsilon", None)
        if not self.noised:
            if self.distributed:
                raise ParameterError("dp = distributed and no epsilon contradict each other; give one of the two")
            object.__setattr__(self, "dp", "none")
        elif self.dp == "none":
            raise ParameterError("dp = none and a noise_multiplier contradict each other; give one of the two")
        self._check_that_it_is_distributed()
        if self.delta is not None and self.delta < LEAST_DELTA:
            raise ParameterError(
                f"delta = {self.delta:g} is below {LEAST_DELTA:g}, the least at which ε is computed; "
                f"use --delta {LEAST_DELTA:g} or more"
            )
        if self.epsilon is not None and self.epsilon > LARGEST_EPSILON:
            raise ParameterError(
                f"epsilon = {self.epsilon:g} protects nobody; use at most {LARGEST_EPSILON:g}, "
                "or set epsilon to None for no differential privacy"
            )

    @property
    def noised(self) -> bool:
        """Whether training is differentially private."""
        return self.epsilon is not None or self.noise_multiplier is not None

    @property
    def distributed(self) -> bool:
        """Whether the sites share the noise under the sum."""
        return self.dp == "distributed"

    @property
    def of_lots(self) -> bool:
        """Whether ε is of what joins a lot by a coin of its own: a row or a patient, and not a whole institution."""
        return self.noised and self.unit != "institution"

    def _check_that_it_is_distributed(self) -> None:
        """Raise `ParameterError` for what only noise under the sum has a use for, or has none for."""
        if self.distributed and self.noise_multiplier is not None:
            raise ParameterError(
                f"noise_multiplier = {self.noise_multiplier:g}: noise under the sum is planned from epsilon; "
                "leave it out, or use --dp local"
            )
        unit = self.unit == "institution" or (self.unit == "patient" and not self.noised)
        for name, asked in (("unit", unit), ("tolerated", self.tolerated is not None)):
            if asked and not self.distributed:
                raise ParameterError(
                    f"{name} = {getattr(self, name)} has no use with dp = {self.dp}: use --dp distributed, or leave it "
                    "out"
                )
        if self.update_norm is not None and self.unit != "institution":
            raise ParameterError(
                f"update_norm = {self.update_norm:g} has no use with unit = {self.unit}, where each {self.unit} is "
                "clipped: use --unit institution, or leave it out"
            )
        if self.public_size is not None and self.unit == "institution":
            raise ParameterError(
                f"public_size = {self.public_size} has no use with unit = institution, where whole updates are "
                "clipped: use --unit row, or leave it out"
            )

    def with_delta(self, units: int) -> Privacy:
        """Return it with a δ at most one in `units`, the public number of rows or patients; as it is without noise.

        At a larger δ, publishing a few of them outright would count as private: that is a `ParameterError`.
        """
        if not self.noised:
            return self
        if self.unit == "institution":
            return self._with_delta_of_institutions()
        largest = _rounded_down(1 / units)
        if largest < LEAST_DELTA:
            raise ParameterError(
                f"public_size = {self.public_size}: {units} training {self.unit}s in all ask for a delta below "
                f"{LEAST_DELTA:g}, the least at which ε is computed; use a smaller --public-size"
            )
        if self.delta is None:
            return replace(self, delta=min(USUAL_DELTA, largest))
        if self.delta * units > 1:
            raise ParameterError(
                f"delta = {self.delta:g} is above one in {units}, the number of training {self.unit}s in all "
                f"(institutions × public size): that would allow publishing one; use --delta {largest:g} or less"
            )
        return self

    def _with_delta_of_institutions(self) -> Privacy:
        if self.delta is None:
            return replace(self, delta=USUAL_DELTA)
        if self.delta > INSTITUTION_DELTA:
            raise ParameterError(
                f"delta = {self.delta:g} is above {INSTITUTION_DELTA:g}, the most that is taken for institutions: use "
                f"--delta {INSTITUTION_DELTA:g} or less"
            )
        return self


def _rounded_down(value: float) -> float:
    """Return a value above 0 with two digits, none of them rounded up."""
    places = math.floor(math.log10(value)) - 1
    return float(f"{math.floor(value / 10.0**places)}e{places}")
