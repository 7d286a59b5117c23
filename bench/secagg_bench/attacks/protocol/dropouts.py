"""Dropouts: participants fall silent at each step in turn, so that a sum comes out that is not over who it says."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

import secagg
from secagg_protocols import Bonawitz, Output, RoundFailed, Scheme, Step
from secagg_protocols.bonawitz.client import BonawitzClient
from secagg_protocols.bonawitz.server import BonawitzServer

from ..attack import Effort, Finding, Metric
from ..defence import Defence
from .base import LENGTH, ProtocolAttack, Vector
from .schemes import scheme_of

PARTICIPANTS = 5
COUNTED = "the server counts whoever dealt shares into the sum"


class CountingServer(BonawitzServer):
    def _finish(self, answered: tuple[int, ...]) -> Output:
        """Say that whoever dealt shares is in the sum."""
        return replace(super()._finish(answered), survivors=self._dealers)


@dataclass(frozen=True)
class Counting(Bonawitz):
    """Bonawitz whose server does not see that somebody dropped out."""

    machines: ClassVar[Any] = (BonawitzClient, CountingServer)


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
        return Defence("counts-dropouts", "secure sum, bonawitz", "bonawitz", broken=COUNTED)

    def run(self, defence: Defence, seed: int, effort: Effort) -> Finding:
        from secagg.conformance.driver import vectors_for

        scheme = scheme_of(defence, PARTICIPANTS, LENGTH, {COUNTED: Counting})
        vectors = vectors_for(scheme, seed)
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
    true = np.sum([vectors[who] for who in run.survivors], axis=0)
    return "right" if np.array_equal(run.total, true) else "wrong"
