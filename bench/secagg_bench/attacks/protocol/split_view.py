"""Split view: one half of the participants hears that a participant is in the sum, the other that it dropped out."""

from __future__ import annotations

from typing import ClassVar

from secagg_protocols import Scheme

from ..attack import Effort, Finding, Metric
from ..defence import Defence
from .base import KNOWN, VICTIM, ProtocolAttack, need_the_bench, scheme_of, vectors_of
from .stories import Stories

PARTICIPANTS = 7
COLLUDER = 7
HALVES = (1, 2, 3), (4, 5, 6)


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
        broken = "half of the participants are enough to open"
        return Defence("any-threshold", "secure sum, bonawitz, active server", "bonawitz", "active", broken=broken)

    def run(self, defence: Defence, seed: int, effort: Effort) -> Finding:
        scheme = _half_opens(defence) if defence.broken else scheme_of(defence, PARTICIPANTS, colluders=1)
        stories = Stories(scheme, vectors_of(scheme, seed), VICTIM)
        helper = stories.copies([COLLUDER])
        one, other = ({who: stories.clients[who] for who in half} for half in HALVES)
        whole = stories.tell(stories.whole, {**one, COLLUDER: stories.clients[COLLUDER]})
        without = stories.tell(stories.without, {**other, **helper})
        return stories.finding(whole, without)


def _half_opens(defence: Defence) -> Scheme:
    need_the_bench()
    from secagg.conformance.weakened import weakened
    from secagg.conformance.weaknesses import THRESHOLD_RULE
    from secagg_protocols import Bonawitz

    from .base import LENGTH

    loose = weakened(Bonawitz, THRESHOLD_RULE)
    return loose(PARTICIPANTS, LENGTH, adversary=defence.adversary, colluders=1, threshold=PARTICIPANTS // 2 + 1)
