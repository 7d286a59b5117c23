"""Noise under a query's sums, for one row: what is planned, what a site works out that it is worth, what it charges.

    x → · gain → + D(0, s) in parts → the ring        (docs/privacy.md has the mechanism and its proof)

A row that is added or left out moves a statistic's vector by no more than its `sensitivity`, and a query's by the root
of the sum of their squares. Vectors are integers already, so nothing is rounded; the public gain only makes room for
parts of noise that must not be narrower than 2. Statistics that state no sensitivity are refused with noise.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from secagg.extras import needed
from secagg.listing import listed
from secagg.privacy.mechanism import PROOF_VARIANCE, opened_with
from secagg.privacy.proposed import Proposed
from secagg.privacy.views import COLLUDING, Release, epsilon_in, epsilons
from secagg.round import Proposal, Settings
from secagg.round.privacy import SitePrivacy
from secagg.schemes import parameters_of
from secagg_protocols import ParameterError, ProtocolViolation, Scheme
from secagg_protocols.core.noise import Noise
from secagg_protocols.primitives.gaussian import WIDEST

from .kinds import KINDS
from .progress import Progress
from .query import Query, tag_of
from .terms import QueryTerms, read_terms

UNIT = "row"
MOST_GAIN = 1 << 12
MOST_BITS = 32
"""Of a value with its noise (`Mechanism`)."""
_FURTHER = 1.0005
"""What is charged beside the noise asks for a little more of it: so much at a time."""


def sensitivity(query: Query) -> float:
    """Return how far, in L2, one row can move a site's vector. Raises `ParameterError` where it is not stated."""
    squares = 0.0
    for statistic in query.statistics:
        if statistic.sensitivity is None:
            able = sorted(str(kind.__struct_config__.tag) for kind in KINDS if kind.sensitivity is not None)
            raise ParameterError(
                f"{tag_of(statistic)} states no sensitivity, so that noise under it would promise nothing: ask for it "
                f"without noise, or for {listed(able, str)} with it"
            )
        squares += statistic.sensitivity**2
    return math.sqrt(squares)


@dataclass(frozen=True)
class RowNoise(Proposed):
    """Noise that protects one row, as it is said; `clip` is the sensitivity and `said_scale` the gain."""

    @cached_property
    def sensitivity(self) -> float:
        return self.clip * self.scale

    def alone(self) -> float:
        left = float(self.share.base) ** 2 - PROOF_VARIANCE
        return math.sqrt(left) / self.sensitivity if left > 0 else 0.0

    @classmethod
    def of_rows(cls, scheme: Scheme, query: Query, gain: int, colluders: int = 0) -> RowNoise:
        """Work out what a scheme's noise is worth to one row. Raises `ParameterError` where there is none."""
        if scheme.noise is None:
            raise ParameterError(
                "the proposed sum has no noise, and this site asks for it: the coordinator must plan it (dp_epsilon)"
            )
        noise = Noise.of(scheme.noise)
        if noise.rounded:
            raise ParameterError("the proposed noise counts on rounding, and a query's integers are not rounded")
        return cls(
            scheme.participants,
            scheme.length,
            sensitivity(query),
            math.sqrt(float(noise.variance)) / (sensitivity(query) * gain),
            scheme.value_bits,
            noise.tolerated,
            max(noise.colluders, colluders),
            scheme.removes_noise,
            opened_with=opened_with(scheme),
            statistical_bits=scheme.guarantee.statistical_bits,
            said_scale=float(gain),
            said_noise=noise,
        )


@dataclass(frozen=True)
class Wish:
    """What a coordinator wants of one query, for one row. tolerated: dropouts. colluders: sites whose noise is not
    counted."""

    epsilon: float
    delta: float
    tolerated: int = 0
    colluders: int = 0

    def planned(self, settings: Settings, participants: int, progress: Progress) -> PlannedNoise:
        """Return the scheme with the least noise that gives it, and its gain. Raises `ParameterError`."""
        with needed("train"):
            from dp_accounting import get_sigma_gaussian
        if not (self.epsilon > 0 and 0 < self.delta < 1):
            raise ParameterError(
                f"dp_epsilon={self.epsilon} is not above 0, or dp_delta={self.delta} not between 0 and 1"
            )
        least = float(get_sigma_gaussian(self.epsilon, self.delta))
        gain = 1
        multiplier = least * _FURTHER
        while True:
            try:
                plan = self._plan(settings, participants, progress, gain, multiplier)
            except ParameterError as refused:
                if gain == MOST_GAIN:
                    raise ParameterError(f"no noise for dp_epsilon={self.epsilon:g}: {refused}") from None
                gain *= 2
                continue
            if plan.holds(self):
                return plan
            multiplier *= _FURTHER
            if multiplier > 2 * least:
                raise ParameterError(f"dp_delta={self.delta:g} is too near to what such noise charges beside itself")

    def _plan(
        self, settings: Settings, participants: int, progress: Progress, gain: int, multiplier: float
    ) -> PlannedNoise:
        deviation = multiplier * sensitivity(progress.query) * gain
        if deviation > WIDEST * math.sqrt(participants):
            raise ParameterError("it is wider than sums have tables for: give a larger one")
        noise = Noise(f"{deviation**2 + PROOF_VARIANCE:.6f}", self.tolerated, self.colluders)
        parameters = {**settings.parameters, "noise": str(noise)}
        if "colluders" in parameters_of(settings.scheme):
            parameters.setdefault("colluders", self.colluders)
        bits = MOST_BITS
        top = ((1 << progress.value_bits) - 1) * gain
        scheme = replace(settings, parameters=parameters).make_scheme_for(participants, progress.length, bits)
        assert scheme.noise_share is not None
        bits = (top + 2 * scheme.noise_share.bound).bit_length()
        if bits > MOST_BITS:
            raise ParameterError(f"values of {bits} bits with their noise; {MOST_BITS} are there: ask for fewer rows")
        return PlannedNoise(replace(scheme, value_bits=bits), RowNoise.of_rows(scheme, progress.query, gain), gain)


@dataclass(frozen=True)
class PlannedNoise:
    """A scheme with noise. gain: what every integer is multiplied by before."""

    scheme: Scheme
    worth: RowNoise
    gain: int

    def holds(self, wish: Wish) -> bool:
        """Whether it gives what is wanted, whoever of those tolerated drops out."""
        found = [
            epsilon_in(COLLUDING, [Release(self.worth, dropouts)], wish.delta) for dropouts in range(wish.tolerated + 1)
        ]
        return all(epsilon is not None and epsilon <= wish.epsilon for epsilon in found)

    def epsilon(self, survivors: int, delta: float) -> dict[str, float]:
        """Return view → ε of a sum over so many; a view without a bound is left out."""
        found = epsilons([Release(self.worth, self.worth.participants - survivors)], delta)
        return {view: value for view, value in found.items() if value is not None}

    def read(self, total: NDArray[np.integer[Any]], survivors: int, progress: Progress) -> NDArray[np.uint64]:
        """Return what a sum with noise says, as a sum that such vectors can have: the nearest."""
        spans = progress.spans
        most = survivors * (spans.high - spans.low)
        return np.clip(np.rint(total / self.gain), 0, most).astype(np.uint64)


class RowPrivacy(SitePrivacy):
    """A site's floor and budget for rows: what of `SitePrivacy` is for the whole institution."""

    @classmethod
    def of(cls, said: SitePrivacy) -> RowPrivacy:
        """Return the same keys, for rows."""
        ledger = None if said.ledger is None else replace(said.ledger, unit=UNIT)
        return cls(said.minimum_multiplier, said.colluders, ledger, said.prefix)

    def proposed(self, proposal: Proposal, scheme: Scheme) -> RowNoise:
        terms, progress = read_terms(proposal.terms)
        return RowNoise.of_rows(scheme, progress.query, terms.gain, self.colluders)


def check_gain(proposal: Proposal, terms: QueryTerms, query: Query) -> None:
    """Raise `SecAggError` for noise under statistics that state no sensitivity, and for a gain without noise."""
    if "noise" in proposal.parameters:
        sensitivity(query)
    elif terms.gain != 1:
        raise ProtocolViolation(f"gain={terms.gain} is proposed without noise: it is for noise alone")
