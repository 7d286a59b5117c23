"""One site's work in one round: FedAvg's local steps (McMahan et al., 2017), or FedProx's (Li et al., 2020)."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

import torch

from .dpsgd import add_noise, clipped_sum
from .examples import Examples
from .model import Model, Params, tensors
from .stream import SiteStream


@dataclass(frozen=True)
class LocalTraining:
    """What every site does with its rows; public, and part of the round's context.

    noise_multiplier  noise standard deviation over clip_norm; 0 is no privacy
    lot_size          what the gradient sum is divided by; a public constant under differential privacy,
                      None to divide by the lot's own size
    unit              what joins a lot by one coin and is clipped as one: a row, or all rows of a patient
    """

    steps: int
    sampling_rate: float
    learning_rate: float
    clip_norm: float
    prox_mu: float
    noise_multiplier: float
    lot_size: float | None
    unit: Literal["row", "patient"] = "row"


@dataclass(frozen=True, eq=False)
class Update:
    """A site's answer. Only `delta` leaves under differential privacy; loss and accuracy are of the model received."""

    delta: Params = field(repr=False)
    loss: float = field(repr=False)
    accuracy: float = field(repr=False)


def local_update(model: Model, start: Params, examples: Examples, how: LocalTraining, stream: SiteStream) -> Update:
    """Train from `start` on one site's training rows and return the change."""
    labels = examples.y
    origin = tensors(start)
    change = {name: torch.zeros_like(value) for name, value in origin.items()}
    logits = model.logits(origin, examples.x)
    loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, labels).item()
    accuracy = ((logits > 0) == (labels > 0)).double().mean().item()
    for _ in range(how.steps):
        lot = examples.lot(stream.poisson_lot(examples.units, how.sampling_rate))
        params = {name: origin[name] + moved for name, moved in change.items()}
        gradient = clipped_sum(model, params, lot, how.clip_norm)
        if how.noise_multiplier > 0:
            gradient = add_noise(gradient, how.noise_multiplier * how.clip_norm, stream)
        size = how.lot_size if how.lot_size is not None else max(1, lot.units)
        # The proximal pull reads the two models only, so it needs neither clipping nor noise.
        change = {
            name: moved - how.learning_rate * (gradient[name] / size + how.prox_mu * moved)
            for name, moved in change.items()
        }
    return Update({name: moved.numpy() for name, moved in change.items()}, loss, accuracy)


def largest_coordinate(how: LocalTraining, largest_lot: float) -> float:
    """Return a bound that no coordinate of an update exceeds, but for noise beyond 6 standard deviations.

    `largest_lot` is the number of units in the largest lot foreseen. The sum of clipped gradients has L2 norm at most
    lot × clip_norm, and a FedProx pull only shortens an update (its factor learning_rate × prox_mu is at most 1).
    """
    size = how.lot_size if how.lot_size is not None else largest_lot
    signal = how.steps * largest_lot / size
    noise = 6 * how.noise_multiplier * math.sqrt(how.steps) / size
    return float(how.learning_rate * how.clip_norm * (signal + noise))
