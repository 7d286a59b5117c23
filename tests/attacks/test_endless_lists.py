"""Lists without end: a message is as long as a block of a vector may be, and holds ids instead. Each takes ten times
its bytes once it is made, so what is longer than any round is refused by its length."""

import tracemalloc

import msgspec
import pytest

from secagg import Bonawitz, SecAggPlus, WireError
from secagg_he.single_key.messages import EXCHANGE as SINGLE_KEY
from secagg_he.threshold.messages import EXCHANGE as THRESHOLD
from secagg_protocols.bonawitz.messages import EXCHANGE
from secagg_protocols.core.fields import fields_of
from secagg_protocols.core.wire import MAX_PARTICIPANTS, decode
from secagg_protocols.lightsecagg.messages import EXCHANGE as LIGHT

SCHEME = Bonawitz(5, 20, adversary="active")
EXCHANGES = (EXCHANGE, SecAggPlus.exchange, LIGHT, THRESHOLD, SINGLE_KEY)
LISTS = sorted(
    {
        (kind, place)
        for exchange in EXCHANGES
        for kind in exchange.messages
        for place, field in enumerate(fields_of(kind))
        # A digest takes no more than twice its bytes.
        if field.inner is not None and field.inner.low != 32
    },
    key=str,
)
ENTRIES = {int: lambda number: number, bytes: lambda number: b""}


def with_list(kind, place):
    """Encode a message whose list at this place is as long as the payload limit lets it be, and all else empty."""
    inner = fields_of(kind)[place].inner
    entry = ENTRIES.get(inner.kind, lambda number: (number, b"", b""))
    fields = [() if field.inner else b"" for field in fields_of(kind)]
    fields[place] = tuple(entry(number) for number in range(1, SCHEME.payload_limit // 10))
    return msgspec.msgpack.encode(tuple(fields))


def test_there_are_such_lists():
    assert len(LISTS) >= 15


@pytest.mark.parametrize(("kind", "place"), LISTS, ids=lambda value: getattr(value, "__name__", str(value)))
def test_a_list_longer_than_any_round_is_refused_before_it_is_made(kind, place):
    payload = with_list(kind, place)
    assert len(payload) <= SCHEME.payload_limit
    tracemalloc.start()
    try:
        with pytest.raises(WireError, match=f"length <= {MAX_PARTICIPANTS}"):
            decode(kind, payload, SCHEME.payload_limit)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < len(payload)
