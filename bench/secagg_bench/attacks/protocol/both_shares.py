"""Both shares of one participant: its self-mask seed and its mask key together take every mask off its vector."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from secagg.extras import needed
from secagg.schemes import SCHEMES, make_scheme
from secagg_protocols import Bonawitz, Envelope, ParameterError, Scheme
from secagg_protocols.bonawitz import steps
from secagg_protocols.bonawitz.client import BonawitzClient
from secagg_protocols.bonawitz.messages import UnmaskRequest
from secagg_protocols.bonawitz.server import BonawitzServer
from secagg_protocols.primitives import shamir

from ..attack import Attack, Effort, Finding, Metric
from ..defence import Defence

PARTICIPANTS = 5
LENGTH = 20
VICTIM = 1
NAIVE = "participants answer whatever is asked"


class NaiveClient(BonawitzClient):
    """Opens what is asked, name by name: two shares of whoever is on both lists."""

    def _answer_request(self, message: UnmaskRequest) -> list[Envelope]:
        scheme = self.scheme
        assert isinstance(scheme, Answering)
        for dealer, share in self._memory.shares.items():
            for row, asked in ((steps.SELF_MASK_SEED, message.survivors), (steps.MASK_KEY, message.vanished)):
                if dealer in asked:
                    opened = share[row * shamir.SHARE_BYTES : (row + 1) * shamir.SHARE_BYTES]
                    scheme.told.append((dealer, row, self.me, bytes(opened)))
        return []


@dataclass(frozen=True)
class Answering(Bonawitz):
    """Bonawitz whose participants check no request, and tell the bench what they open."""

    machines: ClassVar[Any] = (NaiveClient, BonawitzServer)

    @property
    def told(self) -> list[tuple[int, int, int, bytes]]:
        """(dealer, row, holder, share) of everything that was opened."""
        found: list[tuple[int, int, int, bytes]] = self.__dict__.setdefault("_told", [])
        return found


class BothShares(Attack):
    """One participant's vector, from shares that must never be opened together."""

    name: ClassVar[str] = "both-shares"
    title: ClassVar[str] = "One participant's vector, by asking for both of its secrets"
    source: ClassVar[str] = "Bonawitz et al., CCS 2017, section 4: why an honest participant answers one of the two"
    adversary: ClassVar[str] = (
        "the server: lists one participant among those who stayed and among those who dropped out"
    )
    metric: ClassVar[Metric] = Metric("share of the participant's values learnt", success=0.5)

    def no_view(self, defence: Defence) -> str:
        if defence.scheme is None:
            return "nothing is shared: the server sees the vector"
        if "mask_keys" not in SCHEMES[defence.scheme].traits.opens:
            return "no participant's secrets are opened one by one"
        return ""

    def view(self, defence: Defence) -> str:
        return f"shares, {defence.scheme}, {defence.adversary}{', ' + defence.broken if defence.broken else ''}"

    def held_by(self, defence: Defence) -> bool:
        return defence.scheme is not None

    def weak(self) -> Defence:
        return Defence("naive", "secure sum, bonawitz", "bonawitz", broken=NAIVE)

    def run(self, defence: Defence, seed: int, effort: Effort) -> Finding:
        with needed("conformance"):
            import pytest  # noqa: F401  (the bench is a part of the suite)

            from secagg.conformance.hostile import Attack as Bench

        everyone = tuple(range(1, PARTICIPANTS + 1))

        def ask_for_both(bench: Bench, honest: list[Envelope]) -> list[Envelope]:
            signed = bench.signatures(everyone) if bench.scheme.active else {}
            request = (everyone, (VICTIM,), tuple(signed), tuple(signed.values()))
            return bench.tell("UnmaskRequest", dict.fromkeys(everyone, request))

        scheme = scheme_of(defence)
        rng = np.random.default_rng(seed)
        vectors = {who: rng.integers(0, scheme.domain.largest, LENGTH, dtype=np.uint64) for who in everyone}
        bench = Bench(scheme, {0: {"UnmaskRequest": ask_for_both}}, vectors=vectors).run()
        if isinstance(scheme, Answering):
            for dealer, row, holder, share in scheme.told:
                bench.shares[dealer, row][holder] = share
        learnt = bench.expose(VICTIM)
        known = 0.0 if learnt is None else float(np.mean(learnt == vectors[VICTIM]))
        refusals = [refusal for who in everyone for refusal in bench.by(who)]
        note = f"{len(refusals)} of {PARTICIPANTS} refused: {refusals[0]}" if refusals else ""
        return Finding(known, 1 / scheme.domain.largest, note=note)


def scheme_of(defence: Defence) -> Scheme:
    """Return the scheme of five participants, or the one that is broken."""
    if defence.broken == NAIVE:
        return Answering(PARTICIPANTS, LENGTH)
    if defence.broken or defence.scheme is None:
        raise ParameterError(f"defence {defence.name!r} is no scheme whose shares could be asked for")
    return make_scheme(defence.scheme, PARTICIPANTS, LENGTH, adversary=defence.adversary)
