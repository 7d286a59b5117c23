"""Corrupt shares: participants open wrong ones, or dealt wrong ones, so that a wrong sum comes out."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

from secagg_protocols import Bonawitz
from secagg_protocols.bonawitz.client import BonawitzClient
from secagg_protocols.bonawitz.server import BonawitzServer
from secagg_protocols.bonawitz.steps import Transcript
from secagg_protocols.primitives import shamir

from ..attack import Effort, Finding, Metric
from ..defence import Defence
from .base import LENGTH, ProtocolAttack
from .lies import PARTICIPANTS, VALUE_BITS, played
from .schemes import has_own_keys, scheme_of

BELIEVED = "the server believes the first shares that come"


class BelievingServer(BonawitzServer):
    def _recover(self, known: Transcript, answered: tuple[int, ...]) -> dict[int, bytes]:
        """Put secrets together from the first shares that came, and compare them with nothing."""
        holders = answered[: self.scheme.quorum]
        opened: Any = known.graph.opened(known.dealers, {holder: self._opened[holder] for holder in holders})
        secrets = shamir.reconstruct(opened.holders, shamir.decode(opened.shares))
        found = zip(opened.dealers, secrets, strict=True)
        return {dealer: secret or bytes(shamir.SECRET_BYTES) for dealer, secret in found}


@dataclass(frozen=True)
class Believing(Bonawitz):
    """Bonawitz whose server checks no share."""

    machines: ClassVar[Any] = (BonawitzClient, BelievingServer)


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
        believing = partial(Believing, value_bits=VALUE_BITS)
        scheme = scheme_of(defence, PARTICIPANTS, LENGTH, {BELIEVED: believing}, value_bits=VALUE_BITS)
        ended = list(played(scheme, seed))
        wrong = [one.mix for one in ended if one.wrong]
        failed = sum(one.total is None for one in ended)
        note = f"of {len(ended)} mixes {len(wrong)} gave a wrong sum, and {failed} none"
        return Finding(len(wrong) / len(ended), 0.0, note=note)
