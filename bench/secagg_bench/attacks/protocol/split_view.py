"""Split view: one half of the participants hears that a participant is in the sum, the other that it dropped out."""

from __future__ import annotations

from typing import ClassVar

from ..attack import Effort, Finding, Metric
from ..defence import Defence
from .base import KNOWN, LENGTH, VICTIM, ProtocolAttack
from .schemes import lacking, scheme_of
from .stories import Stories

PARTICIPANTS = 7
COLLUDER = 7
HALVES = (1, 2, 3), (4, 5, 6)
HALF_OPENS = "half of the participants are enough to open"


class SplitView(ProtocolAttack):
    """One participant's vector, as the difference of two sums of one round."""

    name: ClassVar[str] = "split-view"
    title: ClassVar[str] = "One participant's vector, by telling each half of the others another list of survivors"
    source: ClassVar[str] = "Bonawitz et al., CCS 2017: what its ConsistencyCheck is for"
    adversary: ClassVar[str] = (
        f"the server and one of {PARTICIPANTS} participants, which is counted: tells two halves two lists, and the "
        "one that helps it answers both"
    )
    metric: ClassVar[Metric] = KNOWN

    def held_by(self, defence: Defence) -> bool:
        return defence.active

    def weak(self) -> Defence:
        return Defence("half-opens", "secure sum, bonawitz, active server", "bonawitz", "active", broken=HALF_OPENS)

    def run(self, defence: Defence, seed: int, effort: Effort) -> Finding:
        half_opens = lacking("THRESHOLD_RULE", defence, colluders=1, threshold=PARTICIPANTS // 2 + 1)
        scheme = scheme_of(defence, PARTICIPANTS, LENGTH, {HALF_OPENS: half_opens}, colluders=1)
        stories = Stories(scheme, seed, VICTIM)
        helper = stories.copies([COLLUDER])
        one, other = ({who: stories.clients[who] for who in half} for half in HALVES)
        whole = stories.tell(stories.whole, {**one, COLLUDER: stories.clients[COLLUDER]})
        without = stories.tell(stories.without, {**other, **helper})
        return stories.finding(whole, without)
