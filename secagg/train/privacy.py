"""The privacy that a run asks for. What it costs and spends: `secagg.train.accounting`."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Annotated

from secagg_protocols.errors import ParameterError

from .setting import AtLeast, BelowOne, Option, Positive, Setting, check

LARGEST_EPSILON = 100.0
USUAL_DELTA = 1e-5
LEAST_DELTA = 1e-12
"""The accountant rounds up by a mass of 10⁻¹⁵, which is a thousandth of this; near it, ε would be infinite."""


@dataclass(frozen=True, kw_only=True)
class Privacy:
    """Differential privacy of every single row, by noise that each site adds to its own gradients."""

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
    # Gradients are divided by sampling_rate × public_size, never by a site's own count.
    public_size: Annotated[
        int | None, AtLeast(1), Option("Agreed nominal number of training rows per institution.")
    ] = None

    def __post_init__(self) -> None:
        check(self)
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
        """Whether local training is differentially private."""
        return self.epsilon is not None or self.noise_multiplier is not None

    def with_delta(self, rows: int) -> Privacy:
        """Return it with a δ at most one in `rows`, the public number of all training rows; as it is without noise.

        At a larger δ, publishing a few rows outright would count as private. Raises: ParameterError for a larger one.
        """
        if not self.noised:
            return self
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


def _rounded_down(value: float) -> float:
    """Return a value above 0 with two digits, none of them rounded up."""
    places = math.floor(math.log10(value)) - 1
    return float(f"{math.floor(value / 10.0**places)}e{places}")
