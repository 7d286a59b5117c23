"""The two sentences that docs/privacy.md proves, from exact probabilities."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from secagg.privacy.mechanism import PROOF_VARIANCE

from .rows import Row

Chances = NDArray[np.float64]

WITHIN = 8
"""Standard deviations of the sum within which distributions are compared."""

PART = "exactness"


def exactness() -> Iterator[Row]:
    """Yield how far sums of discrete Gaussians are from one, and what one discrete Gaussian is worth."""
    for participants in (2, 10):
        centres = np.random.default_rng(participants).uniform(-3, 3, participants).tolist()
        for sigma in (2.0, 3.0, 16.0):
            what = f"|log ratio| of the sum of {participants} parts {sigma:g} wide to one Gaussian"
            yield Row(PART, what, off_by(centres, [sigma] * participants), most=1e-12)
        both = [x for centre in centres for x in (centre, 0.0)]
        widths = [2.0, math.sqrt(252)] * participants
        what = f"|log ratio| of {participants} roundings and integer noises to one Gaussian"
        yield Row(PART, what, off_by(both, widths), most=1e-12)
    for deviation in (3.0, 6.0, 50.6):
        for shift in (deviation, 0.37 * deviation + 0.123):
            for epsilon in (0.5, 1.0, 3.0):
                what = f"δ({epsilon:g}) of D(0, {deviation:g}) moved by {shift:g}, over that of the Gaussian"
                allowed = gaussian_delta(epsilon, shift / math.sqrt(deviation**2 - PROOF_VARIANCE))
                yield Row(PART, what, exact_delta(epsilon, deviation, shift) / allowed, most=1 + 1e-9)


def off_by(centres: Sequence[float], sigmas: Sequence[float]) -> float:
    """Return the largest |log ratio| of the distribution of Σ D(x, s) to D(Σx, S)."""
    first = 0
    chances = np.ones(1)
    for centre, sigma in zip(centres, sigmas, strict=True):
        values = np.arange(math.floor(centre - 12 * sigma), math.ceil(centre + 12 * sigma) + 1)
        chances = np.convolve(chances, discrete(values, centre, sigma))
        first += int(values[0])
    values = np.arange(first, first + chances.size)
    deviation = math.sqrt(sum(sigma**2 for sigma in sigmas))
    near = np.abs(values - sum(centres)) < WITHIN * deviation
    expected = discrete(values, sum(centres), deviation)
    return float(np.abs(np.log(chances[near] / expected[near])).max())


def discrete(values: NDArray[np.integer], centre: float, sigma: float) -> Chances:
    """Return the probabilities that D(centre, σ) gives to consecutive values, which hold all but nothing of it."""
    weights = np.exp(-((values - centre) ** 2) / (2 * sigma**2))
    chances: Chances = weights / math.fsum(weights)
    return chances


def exact_delta(epsilon: float, deviation: float, shift: float) -> float:
    """Return the least δ with which D(0, S) and D(shift, S) are (ε, δ)-indistinguishable."""
    values = np.arange(-int(14 * deviation) - 2, int(15 * deviation) + 3)
    one = discrete(values, 0.0, deviation)
    other = discrete(values, shift, deviation)
    return max(float(np.maximum(p - math.exp(epsilon) * q, 0).sum()) for p, q in ((one, other), (other, one)))


def gaussian_delta(epsilon: float, apart: float) -> float:
    """Return the same for two Gaussians so many standard deviations apart (Balle and Wang, ICML 2018)."""

    def below(x: float) -> float:
        return math.erfc(-x / math.sqrt(2)) / 2

    return below(apart / 2 - epsilon / apart) - math.exp(epsilon) * below(-apart / 2 - epsilon / apart)
