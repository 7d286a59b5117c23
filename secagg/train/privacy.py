"""The privacy that a run asks for. What it costs and spends: `secagg.train.accounting`, `secagg.train.distributed`."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Annotated, Literal

from secagg.privacy.plan import INSTITUTION_DELTA
from secagg_protocols.errors import ParameterError

from .setting import AtLeast, BelowOne, Option, Positive, Setting, check

LARGEST_EPSILON = 100.0
USUAL_DELTA = 1e-5
LEAST_DELTA = 1e-12
"""The accountant rounds up by a mass of 10⁻¹⁵, which is a thousandth of this; near it, ε would be infinite."""


@dataclass(frozen=True, kw_only=True)
class Privacy:
    """Differential privacy of every row, or of every institution, and where its noise is added.

    "local": each site adds all of it to its own gradients, as if nobody summed. "distributed": all add a part, and the
    sum has what one alone would have added (docs/privacy.md).
    """

    dp: Annotated[
        Literal["none", "local", "distributed"],
        Option("Whose noise: none, all of it at each site (local), or shared under the sum (distributed)."),
    ] = "local"
    unit: Annotated[
        Literal["row", "institution"],
        Option("With --dp distributed: whom ε protects, a training row or all that an institution sends."),
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
        int | None, AtLeast(1), Option("Agreed nominal number of training rows per institution.")
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

    def _check_that_it_is_distributed(self) -> None:
        """Raise `ParameterError` for what only noise under the sum has a use for, or has none for."""
        if self.distributed and self.noise_multiplier is not None:
            raise ParameterError(
                f"noise_multiplier = {self.noise_multiplier:g}: noise under the sum is planned from epsilon; "
                "leave it out, or use --dp local"
            )
        for name, asked in (("unit", self.unit != "row"), ("tolerated", self.tolerated is not None)):
            if asked and not self.distributed:
                raise ParameterError(
                    f"{name} = {getattr(self, name)} has no use with dp = {self.dp}: use --dp distributed, or leave it "
                    "out"
                )
        if self.update_norm is not None and self.unit != "institution":
            raise ParameterError(
                f"update_norm = {self.update_norm:g} has no use with unit = {self.unit}, where rows are clipped: use "
                "--unit institution, or leave it out"
            )

    def with_delta(self, rows: int) -> Privacy:
        """Return it with a δ at most one in `rows`, the public number of all training rows; as it is without noise.

        At a larger δ, publishing a few rows outright would count as private. Raises: ParameterError for a larger one.
        """
        if not self.noised:
            return self
        if self.unit == "institution":
            return self._with_delta_of_institutions()
        largest = _rounded_down(1 / rows)
        if largest < LEAST_DELTA:
            raise ParameterError(
                f"public_size = {self.public_size}: {rows} training rows in all ask for a delta below {LEAST_DELTA:g}, "
                "the least at which ε is computed; use a smaller --public-size"
            )
        if self.delta is None:
            return replace(self, delta=min(USUAL_DELTA, largest))
        if self.delta * rows > 1:
            raise ParameterError(
                f"delta = {self.delta:g} is above one in {rows}, the number of training rows in all (institutions × "
                f"public size): that would allow publishing one of them; use --delta {largest:g} or less"
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
