"""Exhaustion: one message that costs the server many times its bytes."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar

import msgspec
import numpy as np

from secagg_protocols import SERVER, Bonawitz, Envelope, SecAggError
from secagg_protocols.bonawitz.client import BonawitzClient
from secagg_protocols.bonawitz.server import BonawitzServer
from secagg_protocols.core.fields import Field, fields_of
from secagg_protocols.core.wire import Message

from ..attack import Attack, Effort, Finding, Metric
from ..defence import Defence
from .schemes import scheme_of, seen

PARTICIPANTS = 5
LENGTH = 60
DEAR = 6
"""From so many bytes held for each byte sent on, a message is dear."""
UNCHECKED = "the server reads a message before it looks how long its lists may be"


class UncheckedServer(BonawitzServer):
    """Makes of a message whatever is in it."""

    def open(self, envelope: Envelope) -> Message:
        msgspec.msgpack.decode(envelope.payload)
        return super().open(envelope)


@dataclass(frozen=True)
class Unchecked(Bonawitz):
    """Bonawitz whose server takes lists of any length."""

    machines: ClassVar[Any] = (BonawitzClient, UncheckedServer)


class Exhaustion(Attack):
    """Memory that a server takes for one hostile message."""

    name: ClassVar[str] = "exhaustion"
    title: ClassVar[str] = "Memory of the server, by one message that takes many times its bytes"
    source: ClassVar[str] = "CWE-409, CWE-770: allocation without limits, by data that grow when they are read"
    adversary: ClassVar[str] = "one participant: sends messages as long as may be, which hold what none should"
    metric: ClassVar[Metric] = Metric(f"share of such messages that cost {DEAR} bytes held for each sent", success=0.1)

    def no_view(self, defence: Defence) -> str:
        return "there is no protocol: an update is read as the runtime reads it" if defence.scheme is None else ""

    def view(self, defence: Defence) -> str:
        return seen("server", defence)

    def held_by(self, defence: Defence) -> bool:
        return defence.scheme is not None

    def weak(self) -> Defence:
        return Defence("unchecked-lists", "secure sum, bonawitz", "bonawitz", broken=UNCHECKED)

    def run(self, defence: Defence, seed: int, effort: Effort) -> Finding:
        scheme = scheme_of(defence, PARTICIPANTS, LENGTH, {UNCHECKED: Unchecked})
        costs = [cost for kind in scheme.exchange.messages for cost in _costs(scheme, kind)]
        note = f"at most {max(costs):.1f} bytes held for each byte of {len(costs)} messages"
        return Finding(float(np.mean([cost >= DEAR for cost in costs])), 0.0, note=note)


def _hostile(scheme: Any, kind: type[Message]) -> Iterator[tuple[Any, ...]]:
    """Yield messages of this kind, as long as may be, with what does not belong there."""
    fields = fields_of(kind)
    room = scheme.payload_limit - 100
    yield (1,) * room
    for place, field in enumerate(fields):
        if field.inner is None:
            value: Any = bytes(room) if field.kind is not int else 0
        else:
            value = tuple(range(1, room // 5)) if field.inner.kind is int else ((),) * room
        if value:
            yield _with(fields, place, value)


def _with(fields: Sequence[Field], place: int, value: Any) -> tuple[Any, ...]:
    empty = [() if field.inner else 0 if field.kind is int else b"" for field in fields]
    return *empty[:place], value, *empty[place + 1 :]


@cache  # no seed changes it
def _costs(scheme: Any, kind: type[Message]) -> tuple[float, ...]:
    """Return how many bytes the server holds at most, for each byte of each hostile message of this kind.

    Each comes from another participant: what is refused may cost its sender its place.
    """
    from secagg.conformance.attack import Attack as Bench

    costs: list[float] = []
    messages = _hostile(scheme, kind)

    def send(bench: Any, honest: list[Envelope]) -> list[Envelope]:
        message = next(messages, None)
        if message is not None:
            costs.append(_cost(bench, bench.clients[honest[0].sender].seal(kind.__name__, SERVER, message)))
        return honest

    Bench(scheme, {who: {kind.__name__: send} for who in range(1, PARTICIPANTS + 1)}).run()
    return tuple(costs)


def _cost(bench: Any, envelope: Envelope) -> float:
    data = envelope.to_bytes()
    tracemalloc.start()
    try:
        bench.server.receive(Envelope.from_bytes(data, bench.scheme.envelope_limit))
    except SecAggError:
        pass
    finally:
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    return most / len(data)
