"""Replay: whoever kept the messages of one round sends them again in the next, each just before the new one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

from secagg_protocols import SERVER, Envelope, Scheme
from secagg_protocols.dealing.client import DealingClient
from secagg_protocols.dealing.server import DealingServer

from ..attack import Effort, Finding, Metric
from ..defence import Defence
from .base import CONTEXT, ProtocolAttack, need_the_bench, scheme_of, vectors_of

PARTICIPANTS = 5
NEXT = replace(CONTEXT, round=CONTEXT.round + 1)


class _AnyRoundClient(DealingClient):
    def _check_binding(self, envelope: Envelope) -> None:
        """Take envelopes of any round and session."""


class _AnyRoundServer(DealingServer):
    def _check_binding(self, envelope: Envelope) -> None:
        """Take envelopes of any round and session."""


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
        broken = "envelopes are taken whatever round they say"
        return Defence("any-round", "secure sum, bonawitz", "bonawitz", broken=broken)

    def run(self, defence: Defence, seed: int, effort: Effort) -> Finding:
        need_the_bench()
        from secagg.conformance.attack import EVERY
        from secagg.conformance.attack import Attack as Bench

        scheme = _of(defence)
        vectors = vectors_of(scheme, seed)
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


def _of(defence: Defence) -> Scheme:
    scheme = scheme_of(defence, PARTICIPANTS)
    if not defence.broken:
        return scheme
    from secagg.conformance.weakened import Weakness, without

    return without(scheme, Weakness("round and session", defence.broken, _AnyRoundClient, _AnyRoundServer))
