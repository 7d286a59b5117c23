"""Dropouts: participants fall silent at each step in turn: is a sum wrong, or somebody's vector open?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from secagg_protocols import Bonawitz, Output, Scheme, Step
from secagg_protocols.bonawitz.client import BonawitzClient
from secagg_protocols.bonawitz.server import BonawitzServer

from ..attack import Effort, Finding, Metric
from ..defence import Defence
from .base import LENGTH, ProtocolAttack, Vector
from .schemes import scheme_of

PARTICIPANTS = 5
OUTCOMES = "right", "no sum", "wrong", "open"
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
    """A sum that is not the sum over those whom it names, or the vector of one of them."""

    name: ClassVar[str] = "dropouts"
    title: ClassVar[str] = "A wrong sum or one participant's vector, by falling silent at any step"
    source: ClassVar[str] = "Bonawitz et al., CCS 2017, section 4: what dropouts at each step leave behind"
    adversary: ClassVar[str] = (
        f"participants, from one to as many as are not needed of {PARTICIPANTS}: fall silent at each step in turn; the "
        "server keeps all that is opened"
    )
    metric: ClassVar[Metric] = Metric("share of rounds with a wrong sum or an open vector", success=0.1)

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
        counts = {outcome: outcomes.count(outcome) for outcome in OUTCOMES}
        note = f"{len(outcomes)} rounds: " + ", ".join(f"{count} {outcome}" for outcome, count in counts.items())
        return Finding((counts["wrong"] + counts["open"]) / len(outcomes), 0.0, note=note)


def _outcome(scheme: Scheme, vectors: Mapping[int, Vector], absent: Mapping[int, Step]) -> str:
    """Run one round; return which of `OUTCOMES` it has."""
    from secagg.conformance import attack, hostile

    opens_each = "mask_keys" in scheme.traits.opens
    bench: Any = (hostile.Attack if opens_each else attack.Attack)(scheme, vectors=vectors, absent=absent).run()
    if opens_each and any(bench.expose(who) is not None for who in vectors):
        return "open"
    output = bench.server.output
    if output is None:
        return "no sum"
    return "right" if np.array_equal(output.total, bench.total_of(*output.survivors)) else "wrong"
