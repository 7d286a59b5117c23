"""Sybils: some of the participants are the server's own. What they hold opens others from some number on."""

from __future__ import annotations

from functools import partial
from statistics import fmean
from typing import ClassVar

from secagg_protocols import Bonawitz

from ..attack import Curve, Effort, Finding, Line, Metric
from ..defence import Defence
from .base import KNOWN, LENGTH, VICTIM, ProtocolAttack
from .schemes import has_own_keys, scheme_of
from .stories import Stories

PARTICIPANTS = 9
COUNTED = 2
"""Participants that the scheme is told may work with the server."""
UNCOUNTED = 5
MORE = f"{UNCOUNTED} of {PARTICIPANTS} are the server's, and {COUNTED} are counted"
SHOWN = ("bonawitz", "lightsecagg", "bfv")
CURVE_SEEDS = 2


class Sybils(ProtocolAttack):
    """One participant's vector, from participants that the server runs itself."""

    name: ClassVar[str] = "sybils"
    title: ClassVar[str] = "One participant's vector, by running some of the participants"
    source: ClassVar[str] = "Douceur, The Sybil Attack, IPTPS 2002"
    adversary: ClassVar[str] = (
        f"the server, which runs {COUNTED} of {PARTICIPANTS} participants, as many as the scheme counts: opens the sum "
        "of all, and has its own open another without the participant"
    )
    metric: ClassVar[Metric] = KNOWN

    def held_by(self, defence: Defence) -> bool:
        return has_own_keys(defence)

    def weak(self) -> Defence:
        return Defence("uncounted", "secure sum, bonawitz", "bonawitz", broken=MORE)

    def run(self, defence: Defence, seed: int, effort: Effort) -> Finding:
        return with_own(UNCOUNTED if defence.broken else COUNTED, defence, seed)

    def curves(self, effort: Effort) -> tuple[Curve, ...]:
        counts = range(PARTICIPANTS)
        lines = []
        for name in SHOWN:
            defence = Defence("", "", name)
            shares = [
                fmean(with_own(count, defence, seed).value for seed in effort.seeds[:CURVE_SEEDS]) for count in counts
            ]
            lines.append(Line(name, list(counts), shares))
        title = f"Values of a participant learnt, by how many of {PARTICIPANTS} the server runs ({COUNTED} counted)"
        return (Curve(title, "participants that are the server's", "share learnt", lines),)


def with_own(count: int, defence: Defence, seed: int) -> Finding:
    """Attack with so many participants of the server's own."""
    as_counted = partial(Bonawitz, colluders=COUNTED)
    scheme = scheme_of(defence, PARTICIPANTS, LENGTH, {MORE: as_counted}, colluders=COUNTED)
    stories = Stories(scheme, seed, VICTIM)
    sybils = stories.copies(range(VICTIM + 1, VICTIM + 1 + count))
    whole = stories.tell(stories.whole, stories.clients)
    return stories.finding(whole, stories.tell(stories.without, sybils))
