"""An audit of private gradients in one run (Steinke, Nasr and Jagielski, "Privacy auditing with one (1) training run",
NeurIPS 2023).

Each of many canary rows joins by a coin; whoever sees the noisy gradient guesses the coins of those that show most and
least. Under (ε, δ) a guess is right with a chance of e^ε/(1 + e^ε) at most, so many right guesses exclude a small ε.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import binom

from secagg.privacy.measured import standard_errors
from secagg.privacy.views import epsilon, epsilon_text
from secagg.train.dpsgd import add_noise, clipped_sum
from secagg.train.examples import Examples
from secagg.train.model import Model
from secagg.train.stream import SECRET_BYTES, SiteStream
from secagg_protocols.primitives.randomness import SYSTEM, Randomness

from .accounting import DELTA, number
from .audits import CAUGHT, PART
from .rows import Row

CANARIES = 1000
GUESSES = 200
MULTIPLIER = 1.5
CLIP = 1.0
LOUD = 1e6
"""A canary's only feature, far beyond the clip."""

SIGNIFICANCE = 0.01
"""The chance that an audit excludes a true ε."""


@dataclass(frozen=True)
class Steps:
    """Private gradients as they are made. clip: of a row. noise: its standard deviation, over what is accounted.

    multiplier: of the noise that is accounted.
    """

    name: str
    clip: float = CLIP
    noise: float = 1.0
    multiplier: float = MULTIPLIER


HONEST = Steps("as they should be")
PLANTED = (Steps("no clip", clip=2 * LOUD), Steps("noise ÷ 10", noise=0.1), Steps("noise ÷ 2", noise=0.5))


@dataclass(frozen=True)
class Findings:
    """epsilon: at the least. variance: of what no canary explains, in standard errors from what is accounted."""

    epsilon: float
    variance: float
    claimed: float

    @property
    def caught_by(self) -> tuple[str, ...]:
        """Return the audits that say that something is wrong."""
        found = {"one run": self.epsilon > self.claimed, "variance": abs(self.variance) > CAUGHT}
        return tuple(name for name, wrong in found.items() if wrong)


def row_audits() -> Iterator[Row]:
    """Yield what one run says of private gradients, and how many audits catch each planted fault."""
    found = audit(HONEST)
    yield Row(
        PART,
        f"rows: ε from one run, at the least (claimed {epsilon_text(found.claimed)})",
        found.epsilon,
        0,
        found.claimed,
    )
    for steps in PLANTED:
        caught_by = audit(steps).caught_by
        what = f"rows: audits that catch {steps.name} ({', '.join(caught_by) or 'none'})"
        yield Row(PART, what, len(caught_by), least=1)


def audit(steps: Steps, seed: int = 5, randomness: Randomness = SYSTEM, guesses: int = GUESSES) -> Findings:
    """Return what both audits say of one gradient with canaries. seed: of their coins. randomness: the noise's.

    guesses: of coins. The more, the larger an ε can be excluded, and the less surely a small one.
    """
    joined = coins(seed)
    shown = _gradient(steps, joined, randomness)
    squares = float(np.mean((shown - joined * CLIP) ** 2))
    return Findings(
        least_epsilon(right_guesses(shown, joined, guesses), guesses),
        standard_errors(squares / (steps.multiplier * CLIP) ** 2, CANARIES),
        number(epsilon([steps.multiplier], DELTA)),
    )


def coins(seed: int) -> NDArray[np.bool_]:
    """Return which canaries join."""
    joined: NDArray[np.bool_] = np.random.default_rng(seed).integers(0, 2, CANARIES) == 1
    return joined


def right_guesses(shown: NDArray[np.float64], joined: NDArray[np.bool_], guesses: int = GUESSES) -> int:
    """Return how many coins are guessed right, of those that show most and least."""
    order = np.argsort(shown)
    return int(joined[order[-guesses // 2 :]].sum() + (~joined[order[: guesses // 2]]).sum())


def _gradient(steps: Steps, joined: NDArray[np.bool_], randomness: Randomness) -> NDArray[np.float64]:
    """Return the noisy sum of the gradients of those who joined: about the clip in the coordinate of each, upwards."""
    model = Model("linear", CANARIES, 0)
    params = {name: torch.zeros_like(torch.from_numpy(array)) for name, array in _shapes(model).items()}
    rows = LOUD * torch.eye(CANARIES, dtype=torch.float64)[torch.from_numpy(joined)]
    canaries = Examples(rows, torch.ones(len(rows), dtype=torch.float64), torch.arange(len(rows)))
    gradient = clipped_sum(model, params, canaries, steps.clip)
    deviation = steps.multiplier * CLIP * steps.noise
    noisy = add_noise(gradient, deviation, SiteStream(randomness.bytes(SECRET_BYTES), 1, 1))
    (weights,) = (tensor for tensor in noisy.values() if tensor.numel() == CANARIES)
    return -weights.numpy().reshape(-1)


def _shapes(model: Model) -> dict[str, NDArray[np.float64]]:
    return model.initial(np.random.default_rng(0))


def least_epsilon(right: int, guesses: int = GUESSES) -> float:
    """Return the largest ε that so many right guesses exclude, to 0.001; 0 for none."""
    low, high = 0.0, 50.0
    if chance_of(right, low, guesses) > SIGNIFICANCE:
        return 0.0
    while high - low > 1e-3:
        middle = (low + high) / 2
        low, high = (middle, high) if chance_of(right, middle, guesses) <= SIGNIFICANCE else (low, middle)
    return low


def chance_of(right: int, epsilon: float, guesses: int = GUESSES) -> float:
    """Return a bound of the chance of so many right guesses under (ε, δ): their theorem 5.2."""
    one = 1 / (1 + math.exp(-epsilon))
    at_least = binom.sf(np.arange(right, -1, -1) - 1, guesses, one)  # right, one fewer, two fewer, …
    rise = (at_least[1:] - at_least[0]) / np.arange(1, right + 1)
    return float(min(1.0, at_least[0] + 2 * CANARIES * DELTA * max(rise, default=0.0)))
