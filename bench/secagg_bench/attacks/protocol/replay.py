"""Replay: whoever kept the messages of one round sends them again in the next, each just before the new one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

from secagg_protocols import SERVER, Bonawitz, Envelope
from secagg_protocols.bonawitz.client import BonawitzClient
from secagg_protocols.bonawitz.server import BonawitzServer

from ..attack import Effort, Finding, Metric
from ..defence import Defence
from .base import CONTEXT, LENGTH, ProtocolAttack
from .schemes import scheme_of

PARTICIPANTS = 5
NEXT = replace(CONTEXT, round=CONTEXT.round + 1)
ANY_ROUND = "envelopes are taken whatever round they say"


class AnyRoundClient(BonawitzClient):
    def _check_binding(self, envelope: Envelope) -> None:
        """Take envelopes of any round and session."""


class AnyRoundServer(BonawitzServer):
    def _check_binding(self, envelope: Envelope) -> None:
        """Take envelopes of any round and session."""


@dataclass(frozen=True)
class AnyRound(Bonawitz):
    """Bonawitz whose messages are for no round in particular."""

    machines: ClassVar[Any] = (AnyRoundClient, AnyRoundServer)


class Replay(ProtocolAttack):
    """Old messages, taken for new ones."""

    name: ClassVar[str] = "replay"
    title: ClassVar[str] = "To have a message of an earlier round taken in this one, by the server or by participants"
    source: ClassVar[str] = "Denning and Sacco, CACM 1981"
    adversary: ClassVar[str] = "anyone on the way: sends all messages of the round before once more, to the same"
    metric: ClassVar[Metric] = Metric("share of old messages taken", success=0.1)

    def held_by(self, defence: Defence) -> bool:
        return defence.scheme is not None

    def weak(self) -> Defence:
        return Defence("any-round", "secure sum, bonawitz", "bonawitz", broken=ANY_ROUND)

    def run(self, defence: Defence, seed: int, effort: Effort) -> Finding:
        from secagg.conformance.attack import EVERY
        from secagg.conformance.attack import Attack as Bench
        from secagg.conformance.driver import vectors_for

        scheme = scheme_of(defence, PARTICIPANTS, LENGTH, {ANY_ROUND: AnyRound})
        vectors = vectors_for(scheme, seed)
        old = Bench(scheme, vectors=vectors, context=CONTEXT).run()
        told = {kind: list(envelopes.values()) for kind, envelopes in old.told.items()}
        sent = {kind: list(envelopes.values()) for kind, envelopes in old.sent.items()}
        taken: list[bool] = []

        def replay_to_participants(bench: Bench, honest: list[Envelope]) -> list[Envelope]:
            for kind in dict.fromkeys(envelope.kind for envelope in honest):
                taken.extend(_takes(bench, bench.deliver, envelope) for envelope in told.pop(kind, []))
            return honest

        def replay_to_server(bench: Bench, honest: list[Envelope]) -> list[Envelope]:
            for envelope in sent.pop(honest[0].kind, []):
                taken.append(_takes(bench, bench.to_server, envelope))
            return honest

        scripts = {who: {EVERY: replay_to_server} for who in vectors}
        scripts[SERVER] = {EVERY: replay_to_participants}
        parties = old.identities, old.roster
        Bench(scheme, scripts, vectors=vectors, context=NEXT, parties=parties, keys=old.keys).run()
        note = f"{sum(taken)} of {len(taken)} old messages were taken"
        return Finding(sum(taken) / len(taken), 0.0, note=note)


def _takes(bench: Any, receive: Any, envelope: Envelope) -> bool:
    before = len(bench.refusals)
    receive(envelope)
    return len(bench.refusals) == before
