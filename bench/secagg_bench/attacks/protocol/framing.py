"""Framing: participants that lie make the server hold somebody honest to blame, and not them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import msgspec

import secagg
from secagg_he.envelope import Content
from secagg_protocols import SERVER, Envelope, Keys, RoundFailed, Scheme
from secagg_protocols.primitives import shamir

from ..attack import Effort, Finding, Metric
from ..defence import Defence
from .base import CONTEXT, LENGTH, ProtocolAttack, Vector
from .lies import PARTICIPANTS, played
from .schemes import has_own_keys, lacking, scheme_of

LIAR = 2
FRAMED = 4
UNPROVEN = "holders keep shares without a proof that their dealer signed them"


class Framing(ProtocolAttack):
    """Blame that falls on somebody honest, and on nobody who lied."""

    name: ClassVar[str] = "framing"
    title: ClassVar[str] = "To have an honest participant blamed for what others did"
    source: ClassVar[str] = "Harn and Lin, Designs, Codes and Cryptography 2009: who cheated with a share"
    adversary: ClassVar[str] = (
        f"participants, from one to as many as are not needed of {PARTICIPANTS}: lie in each way of `secagg bench "
        "liars`, deal a share that they never signed, and send garbage in another's name"
    )
    metric: ClassVar[Metric] = Metric("chance that one of the ways sticks", success=0.5)

    def held_by(self, defence: Defence) -> bool:
        return defence.active

    def weak(self) -> Defence:
        return Defence("unproven-shares", "secure sum, bonawitz, active server", "bonawitz", "active", broken=UNPROVEN)

    def run(self, defence: Defence, seed: int, effort: Effort) -> Finding:
        stuck = dict(_tried(defence, seed))
        names = [name for name, framed in stuck.items() if framed]
        note = f"{len(names)} of {len(stuck)} stick" + (f": {', '.join(names)}" if names else "")
        return Finding(float(bool(names)), 0.0, note=note)


def _tried(defence: Defence, seed: int) -> Iterator[tuple[str, bool]]:
    """Yield (how it is tried, whether somebody honest is blamed and no liar)."""
    from secagg.conformance.driver import vectors_for

    scheme = scheme_of(defence, PARTICIPANTS, LENGTH, {UNPROVEN: lacking("SHARE_ROOTS", defence)})
    vectors = vectors_for(scheme, seed)
    if has_own_keys(defence):
        yield from ((ended.mix, ended.framed) for ended in played(scheme, seed))
    if defence.active and "mask_keys" in scheme.traits.opens:
        yield "a share that was never signed", _unsigned_share(scheme, vectors)
    yield "garbage in another's name", _in_another_s_name(scheme, vectors)


def _unsigned_share(scheme: Scheme, vectors: Mapping[int, Vector]) -> bool:
    """Deal to one holder something else than what the signed root covers, with the path of the right share."""

    def misbehave(machine: Any, envelopes: list[Envelope]) -> list[Envelope]:
        if not envelopes or envelopes[0].kind != scheme.steps[0].value:
            return envelopes
        honest = machine._deal
        shares = len(scheme.secrets) * shamir.SHARE_BYTES

        def deal(holders: tuple[int, ...]) -> tuple[bytes, Mapping[int, bytes]]:
            digests, dealt = honest(holders)
            forged = (os.urandom(shamir.SHARE_BYTES - 2) + bytes(2)) * len(scheme.secrets)
            return digests, {**dealt, FRAMED: forged + dealt[FRAMED][shares:]}

        machine._deal = deal
        return envelopes

    run = secagg.Simulation(scheme, vectors, misbehave={LIAR: misbehave})
    blamed: list[frozenset[int]] = []
    try:
        blamed += [correction.culprits for correction in run.run().corrections]
    except RoundFailed as failure:
        blamed.append(failure.culprits)
    return any(names and LIAR not in names for names in blamed)


def _in_another_s_name(scheme: Scheme, vectors: Mapping[int, Vector]) -> bool:
    """Send an upload that cannot be, as another's, before that one has sent its own."""
    from secagg.conformance.attack import Attack as Bench

    def forge(bench: Bench, honest: list[Envelope]) -> list[Envelope]:
        liar = bench.clients[LIAR]
        message: Any = bench.server.open(honest[0])
        garbage = msgspec.structs.replace(message, words=_nothing(liar, message.block))
        forged = liar.seal(honest[0].kind, SERVER, garbage)
        return [*honest, msgspec.structs.replace(forged, sender=FRAMED)]

    script = {LIAR: {scheme.upload_step.value: forge}}
    bench = Bench(scheme, script, vectors=vectors, context=CONTEXT).run()
    blamed: list[frozenset[int]] = [getattr(refusal, "culprits", frozenset()) for refusal in bench.by(SERVER)]
    return any(FRAMED in names and LIAR not in names for names in blamed)


def _nothing(liar: Any, block: int) -> memoryview:
    """Return an upload of no bytes: under the key that all hold and that tells nobody apart, where there is one."""
    if liar.scheme.traits.keys != Keys.GROUP:
        return memoryview(b"")
    words: memoryview = liar._holder.sealer.seal(Content.FRESH, FRAMED, block, b"")
    return words
