"""What SecAggPlus sends otherwise than Bonawitz: everyone hears of its own neighbours only."""

from __future__ import annotations

from typing import Annotated

from ..bonawitz.messages import KeyEntry
from ..core.fields import Digest, at_most
from ..core.wire import Message, check_ascending


class NeighbourList(Message, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A participant's own keys and its neighbours', ascending, and the digest of everybody's (32 bytes)."""

    entries: Annotated[tuple[KeyEntry, ...], at_most("most_listed")]
    list_digest: Digest

    def __post_init__(self) -> None:
        check_ascending("neighbour list", tuple(entry.participant for entry in self.entries))
