"""Corrupt shares: participants open wrong ones, or dealt wrong ones, so that a wrong sum comes out."""

from __future__ import annotations

from typing import ClassVar

from ..attack import Effort, Finding, Metric
from ..defence import Defence
from .base import LENGTH, ProtocolAttack
from .lies import PARTICIPANTS, VALUE_BITS, played
from .schemes import has_own_keys, lacking, scheme_of

BELIEVED = "the server believes the first shares that come"


class CorruptShares(ProtocolAttack):
    """A sum that is wrong, and that nobody sees is wrong."""

    name: ClassVar[str] = "corrupt-shares"
    title: ClassVar[str] = "A wrong sum, by opening or dealing wrong shares"
    source: ClassVar[str] = "McEliece and Sarwate, CACM 1981; Bell et al., ACORN, USENIX Security 2023"
    adversary: ClassVar[str] = (
        f"participants, from one to as many as are not needed of {PARTICIPANTS}, alone or in concert: each mix of "
        "`secagg bench liars`"
    )
    metric: ClassVar[Metric] = Metric("share of mixes that give a wrong sum", success=0.1)

    def no_view(self, defence: Defence) -> str:
        if defence.scheme is None or has_own_keys(defence):
            return super().no_view(defence)
        return "no shares are dealt: participants decrypt with the one key"

    def held_by(self, defence: Defence) -> bool:
        return has_own_keys(defence)

    def weak(self) -> Defence:
        return Defence("believes-shares", "secure sum, bonawitz", "bonawitz", broken=BELIEVED)

    def run(self, defence: Defence, seed: int, effort: Effort) -> Finding:
        believing = lacking("RIGHT_SHARES", defence, value_bits=VALUE_BITS)
        scheme = scheme_of(defence, PARTICIPANTS, LENGTH, {BELIEVED: believing}, value_bits=VALUE_BITS)
        ended = list(played(scheme, seed))
        wrong = [one.mix for one in ended if one.wrong]
        failed = sum(one.total is None for one in ended)
        note = f"of {len(ended)} mixes {len(wrong)} gave a wrong sum, and {failed} none"
        return Finding(len(wrong) / len(ended), 0.0, note=note)
