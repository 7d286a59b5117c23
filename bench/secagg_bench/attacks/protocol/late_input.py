"""Late input: a vector comes after its participant was declared a dropout, when its mask key is opened already."""

from __future__ import annotations

from typing import ClassVar

from ..attack import Effort, Finding, Metric
from ..defence import Defence
from .base import KNOWN, LENGTH, VICTIM, ProtocolAttack
from .schemes import has_own_keys, lacking, scheme_of
from .stories import Stories

PARTICIPANTS = 5
AGAIN = "participants open as often as they are asked"


class LateInput(ProtocolAttack):
    """One participant's vector, by opening the round a second time with it."""

    name: ClassVar[str] = "late-input"
    title: ClassVar[str] = "One participant's vector, which came late, by asking all to open a second sum with it"
    source: ClassVar[str] = "Bonawitz et al., CCS 2017, section 4: why there is a second mask"
    adversary: ClassVar[str] = (
        "the server: has the sum of all others opened, then takes the late vector and has everybody open again"
    )
    metric: ClassVar[Metric] = KNOWN

    def held_by(self, defence: Defence) -> bool:
        return has_own_keys(defence)

    def weak(self) -> Defence:
        return Defence("answers-again", "secure sum, bonawitz", "bonawitz", broken=AGAIN)

    def run(self, defence: Defence, seed: int, effort: Effort) -> Finding:
        scheme = scheme_of(defence, PARTICIPANTS, LENGTH, {AGAIN: lacking("ONE_ANSWER", defence)})
        stories = Stories(scheme, seed, VICTIM)
        others = {who: client for who, client in stories.clients.items() if who != VICTIM}
        without = stories.tell(stories.without, others)
        whole = stories.tell(stories.whole, stories.clients)
        return stories.finding(whole, without)
