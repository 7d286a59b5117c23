"""Corrupt shares: participants open wrong ones, or dealt wrong ones, so that a wrong sum comes out."""

from __future__ import annotations

from typing import Any, ClassVar

from secagg_protocols import Scheme
from secagg_protocols.bonawitz.server import BonawitzServer
from secagg_protocols.bonawitz.steps import Transcript
from secagg_protocols.primitives import shamir

from ..attack import Effort, Finding, Metric
from ..defence import Defence
from .base import ProtocolAttack, has_own_keys, need_the_bench, scheme_of
from .lies import PARTICIPANTS, VALUE_BITS, played


class _BelievingServer(BonawitzServer):
    def _recover(self, known: Transcript, answered: tuple[int, ...]) -> dict[int, bytes]:
        """Put secrets together from the first shares that came, and compare them with nothing."""
        holders = answered[: self.scheme.quorum]
        opened: Any = known.graph.opened(known.dealers, {holder: self._opened[holder] for holder in holders})
        secrets = shamir.reconstruct(opened.holders, shamir.decode(opened.shares))
        return {
            dealer: secret or bytes(shamir.SECRET_BYTES) for dealer, secret in zip(opened.dealers, secrets, strict=True)
        }


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
        broken = "the server believes the first shares that come"
        return Defence("believes-shares", "secure sum, bonawitz", "bonawitz", broken=broken)

    def run(self, defence: Defence, seed: int, effort: Effort) -> Finding:
        ended = list(played(_of(defence), seed))
        wrong = [one.mix for one in ended if one.wrong]
        failed = sum(one.total is None for one in ended)
        note = f"of {len(ended)} mixes {len(wrong)} gave a wrong sum, and {failed} none"
        return Finding(len(wrong) / len(ended), 0.0, note=note)


def _of(defence: Defence) -> Scheme:
    scheme = scheme_of(defence, PARTICIPANTS, value_bits=VALUE_BITS)
    if not defence.broken:
        return scheme
    need_the_bench()
    from secagg.conformance.weakened import Weakness, without

    return without(scheme, Weakness("shares", defence.broken, server=_BelievingServer))
