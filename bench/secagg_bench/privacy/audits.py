"""Audits of what is released, by somebody who knows every vector: each finds some faults, together all planted ones.

- variance: the error of one sum, over all its coordinates, beside the noise that is accounted;
- correlation: of the errors of two rounds;
- canaries: participants send random directions, far beyond the clip; from how they show in the sum, and how others that
  nobody sent do, follows the ε that the mechanism gives at the least (Andrew et al., "One-shot empirical privacy
  estimation", 2023).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from secagg.privacy.measured import standard_errors
from secagg.privacy.mechanism import Mechanism
from secagg.privacy.views import SERVER, Release, epsilon, epsilon_text, epsilons
from secagg_protocols.primitives.randomness import SYSTEM, Randomness

from .accounting import number
from .planted import ABSENT, HONEST, PLANTED, Subject, Vectors
from .rows import Row

PART = "audits"
PARTICIPANTS = 10
TOLERATED = 3
DELTA = 1e-5
CAUGHT = 5
"""Standard errors."""

SURE = 3
"""Standard errors that are granted to each of the two figures from which canaries' ε follows."""

LOUD = 10.0
"""A canary's norm, in units of the clip."""


@dataclass(frozen=True)
class Effort:
    """length: values, where their variance is looked at. rounds: with canaries. canary_length: values of those."""

    length: int = 100_000
    rounds: int = 20
    canary_length: int = 10_000


FULL = Effort()
QUICK = Effort(length=50_000, rounds=10, canary_length=5_000)


@dataclass(frozen=True)
class Findings:
    """What the audits say of one subject. variance, correlation: in standard errors. epsilon: at the least."""

    variance: float
    correlation: float
    epsilon: float
    claimed: float

    @property
    def caught_by(self) -> tuple[str, ...]:
        """Return the audits that say that something is wrong."""
        found = {
            "variance": abs(self.variance) > CAUGHT,
            "correlation": abs(self.correlation) > CAUGHT,
            "canaries": not self.epsilon <= self.claimed,
        }
        return tuple(name for name, wrong in found.items() if wrong)


def audits(effort: Effort) -> Iterator[Row]:
    """Yield what the audits say of our mechanism, and how many of them catch each planted fault."""
    found = audit(HONEST, effort)
    yield Row(PART, "variance of one sum's noise, in standard errors", found.variance, -CAUGHT, CAUGHT)
    yield Row(PART, "correlation of two rounds' noise, in standard errors", found.correlation, -CAUGHT, CAUGHT)
    yield Row(
        PART,
        f"ε from canaries, at the least (claimed {epsilon_text(found.claimed)})",
        found.epsilon,
        most=found.claimed,
    )
    for subject in PLANTED:
        caught_by = audit(subject, effort).caught_by
        what = f"audits that catch {subject.name} ({', '.join(caught_by) or 'none'})"
        yield Row(PART, what, len(caught_by), least=1)


def audit(subject: Subject, effort: Effort) -> Findings:
    """Return what every audit says."""
    mechanism = _mechanism(effort.length)
    first, second = (_error(subject, mechanism, seed) for seed in (1, 2))
    promised = (PARTICIPANTS - ABSENT) * mechanism.variance_of(ABSENT) / mechanism.scale**2
    ratio = float(first @ first) / first.size / promised
    correlation = float(np.corrcoef(first, second)[0, 1]) * math.sqrt(first.size)
    with_canaries = _mechanism(effort.canary_length)
    claimed = epsilons([Release(with_canaries, ABSENT)], DELTA)[SERVER]
    shown = canaries_epsilon(subject, with_canaries, effort.rounds)
    return Findings(standard_errors(ratio, first.size), correlation, shown, number(claimed))


def _mechanism(length: int) -> Mechanism:
    return Mechanism(PARTICIPANTS, length, 1.0, 1.0, 12, tolerated=TOLERATED)


def _directions(rng: np.random.Generator, many: int, length: int) -> Vectors:
    drawn = rng.normal(size=(many, length))
    unit: Vectors = drawn / np.linalg.norm(drawn, axis=1, keepdims=True)
    return unit


def _error(subject: Subject, mechanism: Mechanism, seed: int) -> Vectors:
    """Return the released sum without the vectors that are in it. They are within the clip."""
    vectors = _directions(np.random.default_rng(seed), PARTICIPANTS, mechanism.length)
    error: Vectors = subject.release(mechanism, vectors) - vectors[ABSENT:].sum(axis=0)
    return error


def canaries_epsilon(
    subject: Subject, mechanism: Mechanism, rounds: int, seed: int = 3, randomness: Randomness = SYSTEM
) -> float:
    """Return ε of a Gaussian mechanism in which a canary shows as much, less what may be chance.

    seed: of the canaries. randomness: of the rounds.
    """
    rng = np.random.default_rng(seed)
    sent, others = [], []
    for _ in range(rounds):
        canaries = _directions(rng, mechanism.participants, mechanism.length)
        total = subject.release(mechanism, canaries * LOUD, randomness)
        sent.append(canaries[ABSENT:] @ total)
        others.append(_directions(rng, mechanism.participants * 3, mechanism.length) @ total)
    shift = np.concatenate(sent)
    noise = np.concatenate(others)
    deviation = float(np.sqrt(np.mean(noise**2))) * (1 + SURE / math.sqrt(2 * noise.size))
    at_least = float(shift.mean()) - SURE * float(shift.std()) / math.sqrt(shift.size)
    return 0.0 if at_least <= 0 else number(epsilon([deviation / at_least], DELTA))
