"""Dropouts: participants fall silent at each step in turn, so that a sum comes out that is not over who it says."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import numpy as np

import secagg
from secagg_protocols import Output, RoundFailed, Scheme, Step
from secagg_protocols.bonawitz.server import BonawitzServer

from ..attack import Effort, Finding, Metric
from ..defence import Defence
from .base import ProtocolAttack, Vector, need_the_bench, scheme_of, sum_of, vectors_of

PARTICIPANTS = 5


class _CountingServer(BonawitzServer):
    def _finish(self, answered: tuple[int, ...]) -> Output:
        """Say that whoever dealt shares is in the sum."""
        return replace(super()._finish(answered), survivors=self._dealers)


class Dropouts(ProtocolAttack):
    """A sum that is not the sum over those whom it names."""

    name: ClassVar[str] = "dropouts"
    title: ClassVar[str] = "A wrong sum, by falling silent before or after any message"
    source: ClassVar[str] = "Bonawitz et al., CCS 2017, section 4: what dropouts at each step leave behind"
    adversary: ClassVar[str] = (
        f"participants, from one to as many as are not needed of {PARTICIPANTS}: fall silent at one step, each in turn"
    )
    metric: ClassVar[Metric] = Metric("share of rounds with a wrong sum", success=0.1)

    def held_by(self, defence: Defence) -> bool:
        return defence.scheme is not None

    def weak(self) -> Defence:
        broken = "the server counts whoever dealt shares into the sum"
        return Defence("counts-dropouts", "secure sum, bonawitz", "bonawitz", broken=broken)

    def run(self, defence: Defence, seed: int, effort: Effort) -> Finding:
        scheme = _of(defence)
        vectors = vectors_of(scheme, seed)
        order = np.random.default_rng([seed, 1]).permutation(PARTICIPANTS) + 1
        outcomes = [
            _outcome(scheme, vectors, dict.fromkeys(order[:count].tolist(), step))
            for step in scheme.steps
            for count in range(1, PARTICIPANTS - scheme.quorum + 1)
        ]
        wrong = outcomes.count("wrong")
        note = f"{len(outcomes)} rounds: {outcomes.count('right')} right, {wrong} wrong, {outcomes.count('none')} none"
        return Finding(wrong / len(outcomes), 0.0, note=note)


def _outcome(scheme: Scheme, vectors: dict[int, Vector], drop: dict[int, Step]) -> str:
    try:
        run = secagg.simulate(scheme, vectors, drop=drop)
    except RoundFailed:
        return "none"
    return "right" if np.array_equal(run.total, sum_of(vectors, run.survivors)) else "wrong"


def _of(defence: Defence) -> Scheme:
    scheme = scheme_of(defence, PARTICIPANTS)
    if not defence.broken:
        return scheme
    need_the_bench()
    from secagg.conformance.weakened import Weakness, without

    return without(scheme, Weakness("who is in the sum", defence.broken, server=_CountingServer))
