"""Both shares of one participant: its self-mask seed and its mask key together take every mask off its vector."""

from __future__ import annotations

from typing import ClassVar

from secagg.schemes import SCHEMES
from secagg_protocols import Envelope

from ..attack import Effort, Finding, Metric
from ..defence import Defence
from .base import KNOWN, LENGTH, VICTIM, ProtocolAttack, by_guessing, known
from .schemes import lacking, scheme_of

PARTICIPANTS = 5
NAIVE = "participants answer whatever is asked"


class BothShares(ProtocolAttack):
    """One participant's vector, from shares that must never be opened together."""

    name: ClassVar[str] = "both-shares"
    title: ClassVar[str] = "One participant's vector, by asking for both of its secrets at once"
    source: ClassVar[str] = "Bonawitz et al., CCS 2017, section 4: why an honest participant answers one of the two"
    adversary: ClassVar[str] = (
        "the server: lists one participant among those who stayed and among those who dropped out, to everyone alike "
        "(what it gets by asking two groups: split-view)"
    )
    metric: ClassVar[Metric] = KNOWN

    def no_view(self, defence: Defence) -> str:
        if defence.scheme is None:
            return "nothing is shared: the server sees the vector"
        if "mask_keys" not in SCHEMES[defence.scheme].traits.opens:
            return "no participant's secrets are opened one by one"
        return ""

    def held_by(self, defence: Defence) -> bool:
        return defence.scheme is not None

    def weak(self) -> Defence:
        return Defence("naive", "secure sum, bonawitz", "bonawitz", broken=NAIVE)

    def run(self, defence: Defence, seed: int, effort: Effort) -> Finding:
        from secagg.conformance.driver import vectors_for
        from secagg.conformance.hostile import Attack as Bench

        everyone = tuple(range(1, PARTICIPANTS + 1))

        def ask_for_both(bench: Bench, honest: list[Envelope]) -> list[Envelope]:
            signed = bench.signatures(everyone) if bench.scheme.active else {}
            request = (everyone, (VICTIM,), tuple(signed), tuple(signed.values()))
            return bench.tell("UnmaskRequest", dict.fromkeys(everyone, request))

        scheme = scheme_of(defence, PARTICIPANTS, LENGTH, {NAIVE: lacking("BOTH_LISTS", defence)})
        vectors = vectors_for(scheme, seed)
        bench = Bench(scheme, {0: {"UnmaskRequest": ask_for_both}}, vectors=vectors).run()
        refusals = [refusal for who in everyone for refusal in bench.by(who)]
        note = f"{len(refusals)} of {PARTICIPANTS} refused: {refusals[0]}" if refusals else ""
        return Finding(known(vectors[VICTIM], bench.expose(VICTIM)), by_guessing(scheme), note=note)
