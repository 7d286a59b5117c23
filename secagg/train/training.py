"""What every site does between two sums, as it was asked for. What is derived from it: `secagg.train.fedavg`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from secagg_protocols.errors import ParameterError

from .setting import AtLeast, AtMost, Option, Positive, Setting, check

STEPS = 2
"""Of each site per round, where nothing else is said."""

MOST_STEPS = 100_000
"""Of every site, in all rounds: what they cost in ε is computed before the first."""


@dataclass(frozen=True, kw_only=True)
class Training:
    """The model, and the steps on it at every site."""

    model: Annotated[Literal["logistic", "mlp"], Option("Model.")] = "logistic"
    hidden: Annotated[int, AtLeast(1), Setting("tanh units in the one hidden layer of an mlp")] = 16
    rounds: Annotated[int, AtLeast(1), Option("Communication rounds.")] = 20
    local_steps: Annotated[
        int | None,
        AtLeast(1),
        Option(
            f"Gradient steps of each site per round; by default {STEPS}, but 1 where the noise for rows or patients is "
            "shared."
        ),
    ] = None
    sampling_rate: Annotated[
        float, Setting("probability with which each row joins a step's lot (Poisson), in (0, 1]")
    ] = 0.5
    learning_rate: Annotated[float, Positive(), AtMost(1_000_000), Option("Step length.")] = 2.0
    clip_norm: Annotated[float, Positive(), Setting("L2 bound on each row's gradient")] = 0.5
    fedprox_mu: Annotated[float, Setting("FedProx's proximal weight; 0 is FedAvg")] = 0.0

    def __post_init__(self) -> None:
        check(self)
        if not 0 < self.sampling_rate <= 1:
            raise ParameterError(f"sampling_rate = {self.sampling_rate!r} must be in (0, 1]")
        if self.rounds * self.steps > MOST_STEPS:
            raise ParameterError(
                f"rounds = {self.rounds} of local_steps = {self.steps} are above {MOST_STEPS} steps in all, the "
                "most that are trained; use fewer --rounds or --local-steps"
            )
        # Beyond 1 a proximal step overshoots the global model, and the bound on an update no longer holds.
        if not 0 <= self.fedprox_mu * self.learning_rate <= 1:
            raise ParameterError(
                f"fedprox_mu = {self.fedprox_mu!r} must be between 0 and 1/learning_rate = {1 / self.learning_rate:g}"
            )

    @property
    def steps(self) -> int:
        """Gradient steps of each site per round."""
        return STEPS if self.local_steps is None else self.local_steps
