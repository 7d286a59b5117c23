"""Masks that are used twice: the difference of two uploads is the difference of two vectors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from secagg_protocols import Bonawitz, Envelope, InsecureDeterministicRandomness, RoundContext
from secagg_protocols.bonawitz.client import BonawitzClient
from secagg_protocols.bonawitz.server import BonawitzServer

from ..attack import Attack, Effort, Finding, Metric
from ..defence import Defence
from .schemes import scheme_of, seen
from .uploads import upload_of

PARTICIPANTS = 5
LENGTH = 600
VICTIM = 2
SESSIONLESS = "masks follow from keys alone, and not from the session that they are for"


class SessionlessClient(BonawitzClient):
    """Masks every vector as if all rounds were one session."""

    def _contribute(self, vector: NDArray[np.integer[Any]]) -> list[Envelope]:
        self._memory.session = bytes(len(self._memory.session))
        return super()._contribute(vector)


@dataclass(frozen=True)
class Sessionless(Bonawitz):
    """Bonawitz whose masks do not know the round."""

    machines: ClassVar[Any] = (SessionlessClient, BonawitzServer)


class ReusedMasks(Attack):
    """How one participant's vector changed from one round to the next."""

    name: ClassVar[str] = "reused-masks"
    title: ClassVar[str] = "How one participant's vector changed, from uploads that the same masks hide"
    source: ClassVar[str] = "a two-time pad; Bonawitz et al., CCS 2017, section 6, on fresh keys for each round"
    adversary: ClassVar[str] = (
        "the server, curious: keeps the uploads of two rounds, in which machines that were set back draw the same bytes"
    )
    metric: ClassVar[Metric] = Metric("share of the vectors' difference learnt", success=0.5)

    def no_view(self, defence: Defence) -> str:
        return "nothing is masked: the server sees both vectors" if defence.scheme is None else ""

    def view(self, defence: Defence) -> str:
        return seen("uploads", defence)

    def held_by(self, defence: Defence) -> bool:
        return defence.scheme is not None

    def weak(self) -> Defence:
        return Defence("sessionless", "secure sum, bonawitz", "bonawitz", broken=SESSIONLESS)

    def run(self, defence: Defence, seed: int, effort: Effort) -> Finding:
        from secagg.conformance.driver import Rehearsal, vectors_for

        scheme = scheme_of(defence, PARTICIPANTS, LENGTH, {SESSIONLESS: Sessionless})
        uploads = []
        for number in (1, 2):
            vectors = vectors_for(scheme, seed=2 * seed + number)
            context = RoundContext("attack", number, bytes(32))
            same = InsecureDeterministicRandomness(seed)
            running = Rehearsal(scheme, context=context, vectors=vectors, randomness=same)
            uploads.append(upload_of(running, VICTIM, vectors[VICTIM]))
        first, second = uploads
        return Finding(first.learnt_beside(second), first.by_chance)
