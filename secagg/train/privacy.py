"""The privacy that a run asks for. What it costs and spends: `secagg.train.accounting`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from secagg_protocols.errors import ParameterError

from .setting import AtLeast, BelowOne, Option, Positive, Setting, check

LARGEST_EPSILON = 100.0


@dataclass(frozen=True, kw_only=True)
class Privacy:
    """Differential privacy of every single example, by noise that each site adds to its own gradients."""

    epsilon: Annotated[float | None, Positive(), Setting("budget of the whole run; None: no differential privacy")] = (
        3.0
    )
    delta: Annotated[float, BelowOne(), Option("Failure probability of that guarantee.")] = 1e-5
    noise_multiplier: Annotated[
        float | None, Positive(), Setting("noise over clip_norm; None: the least that meets epsilon")
    ] = None
    # Gradients are divided by sampling_rate × public_size, never by a site's own count.
    public_size: Annotated[
        int | None, AtLeast(1), Option("Agreed nominal number of training rows per institution.")
    ] = None

    def __post_init__(self) -> None:
        check(self)
        if self.epsilon is not None and self.epsilon > LARGEST_EPSILON:
            raise ParameterError(
                f"epsilon = {self.epsilon:g} protects nobody; use at most {LARGEST_EPSILON:g}, "
                "or None for no differential privacy"
            )

    @property
    def noised(self) -> bool:
        """Whether local training is differentially private."""
        return self.epsilon is not None or self.noise_multiplier is not None
