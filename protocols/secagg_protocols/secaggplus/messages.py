"""What SecAggPlus sends otherwise than Bonawitz: everyone hears of its own neighbours only."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from ..bonawitz import messages as bonawitz
from ..bonawitz.messages import KeyEntry
from ..core.exchange import Binding, Exchange, Sent
from ..core.fields import Digest, at_most
from ..core.step import Step
from ..core.wire import Message, check_ascending
from ..dealing.messages import LONGEST_LIST, CountedUnmaskRequest


class NeighbourList(Message, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A participant's own keys and its neighbours', ascending, and the digest of everybody's (32 bytes)."""

    entries: Annotated[tuple[KeyEntry, ...], LONGEST_LIST, at_most("most_listed")]
    list_digest: Digest

    def __post_init__(self) -> None:
        check_ascending("neighbour list", tuple(entry.participant for entry in self.entries))

    @property
    def digest(self) -> bytes:
        """What the session is bound to: 32 bytes, as the server states them."""
        return self.list_digest


_NEIGHBOUR_LIST = (Sent(NeighbourList, Binding.KEY_LIST),)
EXCHANGE = Exchange(
    tuple(
        replace(row, asks=_NEIGHBOUR_LIST) if row.step is Step.SHARE_KEYS else row
        for row in bonawitz.EXCHANGE.rows
        if not row.active
    )
)
WITH_NOISE = Exchange(
    tuple(
        replace(row, asks=(Sent(CountedUnmaskRequest),)) if row.step is Step.UNMASKING else row for row in EXCHANGE.rows
    )
)
"""Where holders must know how many of all survived."""
