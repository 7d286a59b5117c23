"""Tampering: a bit of a message flips on its way, and a wrong sum comes out as if nothing had been."""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec
import numpy as np

from secagg_protocols import SERVER, Bonawitz, Envelope

from ..attack import Attack, Effort, Finding, Metric
from ..defence import Defence
from .schemes import has_own_keys, scheme_of, seen

PARTICIPANTS = 5
LENGTH = 60
VICTIM = 2
UNSIGNED = "nothing is signed"
PLACES = 2
QUICK_PLACES = 1
"""How many bits of each kind of message are tried, one in each round."""
UPLOADS = 3
"""So many times as many of an upload."""


class Tampering(Attack):
    """A wrong sum, from messages that are changed between a participant and the server."""

    name: ClassVar[str] = "ciphertext-tampering"
    title: ClassVar[str] = "A wrong sum that nobody notices, from a bit that flips on the way"
    source: ClassVar[str] = "a classic; masks and additive ciphertexts can be added to by whoever holds them"
    adversary: ClassVar[str] = (
        "anyone on the way who can write (there is no TLS, or it ends there): flips one bit of one participant's "
        "messages, or of those that it is sent"
    )
    metric: ClassVar[Metric] = Metric("share of flipped bits that gave a wrong sum unnoticed", success=0.05)

    def no_view(self, defence: Defence) -> str:
        return "there is no protocol: whoever changes an update has changed it" if defence.scheme is None else ""

    def view(self, defence: Defence) -> str:
        return seen("messages on the way", defence)

    def held_by(self, defence: Defence) -> bool:
        return defence.scheme is not None and (defence.active or not has_own_keys(defence))

    def weak(self) -> Defence:
        return Defence("unsigned", "secure sum, bonawitz", "bonawitz", broken=UNSIGNED)

    def run(self, defence: Defence, seed: int, effort: Effort) -> Finding:
        scheme = scheme_of(defence, PARTICIPANTS, LENGTH, {UNSIGNED: Bonawitz})
        rng = np.random.default_rng(seed)
        places = QUICK_PLACES if effort.quick else PLACES
        kinds = [kind.__name__ for kind in scheme.exchange.messages]
        kinds = sorted(kinds * places + [scheme.upload_step.value] * (UPLOADS - 1) * places)
        wrong = [(kind, _wrong(scheme, kind, rng.random())) for kind in kinds]
        tried = [one for _, one in wrong if one is not None]
        silent = sorted({kind for kind, one in wrong if one})
        note = f"unnoticed in {', '.join(silent)}" if silent else ""
        return Finding(float(np.mean(tried)), 0.0, note=note)


def _wrong(scheme: Any, kind: str, place: float) -> bool | None:
    """Flip a bit of one message; tell whether a wrong sum came out. None: there was no such message.

    place: of the bit, from 0 at the message's start to 1 at its end.
    """
    from secagg.conformance.attack import Attack as Bench

    flipped: list[str] = []

    def flip(_: Any, envelopes: list[Envelope]) -> list[Envelope]:
        for index, envelope in enumerate(envelopes):
            if not flipped and VICTIM in (envelope.sender, envelope.recipient):
                flipped.append(kind)
                return [*envelopes[:index], _changed(envelope, place), *envelopes[index + 1 :]]
        return envelopes

    bench = Bench(scheme, {SERVER: {kind: flip}, VICTIM: {kind: flip}}).run()
    if not flipped:
        return None
    output = bench.server.output
    return output is not None and bool((bench.total() != bench.total_of(*output.survivors)).any())


def _changed(envelope: Envelope, place: float) -> Envelope:
    payload = bytearray(envelope.payload)
    bit = int(place * 8 * len(payload))
    payload[bit // 8] ^= 1 << bit % 8
    return msgspec.structs.replace(envelope, payload=bytes(payload))
