"""Key substitution: the server shows a participant keys of its own making in the place of all others'."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from secagg_protocols import SERVER, Aggregator, Identity, MemoryLedger, Participant, Roster

from ..attack import Effort, Finding, Metric
from ..defence import Defence
from .base import CONTEXT, KNOWN, LENGTH, VICTIM, ProtocolAttack, by_guessing, known
from .schemes import has_own_keys, lacking, scheme_of

PARTICIPANTS = 5
UNSIGNED = "participants take a list of keys whoever signed them"


@dataclass(frozen=True)
class Posing(Roster):
    """A roster with keys of the server's own, which passes itself off as the one that the participant has pinned."""

    pinned: Roster

    @property
    def digest(self) -> bytes:
        return self.pinned.digest


class KeySubstitution(ProtocolAttack):
    """One participant's vector, alone among the server's own."""

    name: ClassVar[str] = "key-substitution"
    title: ClassVar[str] = "One participant's vector, by playing all the others to it"
    source: ClassVar[str] = "Bonawitz et al., CCS 2017: why the keys are signed against an active server"
    adversary: ClassVar[str] = (
        "the server: in the place of all other participants' keys it shows its own, and sends zeros"
    )
    metric: ClassVar[Metric] = KNOWN

    def no_view(self, defence: Defence) -> str:
        if defence.scheme is None or has_own_keys(defence):
            return super().no_view(defence)
        return "no keys are shown: all hold one that the server does not have"

    def held_by(self, defence: Defence) -> bool:
        return defence.active

    def weak(self) -> Defence:
        return Defence("unsigned-keys", "secure sum, bonawitz, active server", "bonawitz", "active", broken=UNSIGNED)

    def run(self, defence: Defence, seed: int, effort: Effort) -> Finding:
        from secagg.conformance.attack import Attack as Bench
        from secagg.conformance.driver import vectors_for

        scheme = scheme_of(defence, PARTICIPANTS, LENGTH, {UNSIGNED: lacking("SIGNED_KEYS", defence)})
        vectors = vectors_for(scheme, seed)
        given = {who: vector if who == VICTIM else np.zeros_like(vector) for who, vector in vectors.items()}
        bench = Bench(scheme, vectors=given, context=CONTEXT)
        _surround(bench)
        bench.run()
        output = bench.server.output
        learnt = None if output is None or VICTIM not in output.survivors else output.total
        refusals = bench.by(VICTIM)
        note = f"the participant refused: {refusals[0]}" if refusals else ""
        return Finding(known(vectors[VICTIM], learnt), by_guessing(scheme), note=note)


def _surround(bench: Any) -> None:
    """Make all but the victim the server's own machines, which know one another by keys that the server has made."""
    scheme = bench.scheme
    identities = {who: Identity.generate(f"the server's {who}", scheme.ciphersuite) for who in bench.clients}
    identities |= {who: bench.identities.get(who, identities[VICTIM]) for who in (SERVER, VICTIM)}
    roster = None
    if scheme.active:
        entries = tuple(identities[who].public(who) for who in sorted(identities))
        roster = Posing(scheme.suite, entries, bench.roster)
    bench.server = scheme.server(CONTEXT, Aggregator(identities[SERVER], roster))
    for who in bench.clients:
        if who != VICTIM:
            party = Participant(identity=identities[who], roster=roster, ledger=MemoryLedger())
            bench.clients[who] = scheme.client(who, CONTEXT, party)
