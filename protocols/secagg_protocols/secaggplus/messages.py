"""What SecAggPlus sends otherwise than Bonawitz: everyone hears of its own neighbours only."""

from __future__ import annotations

from ..bonawitz.messages import KeyEntry
from ..core.wire import Message, check_ascending, check_size
from ..primitives.merkle import HASH_BYTES


class NeighbourList(Message, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A participant's own keys and its neighbours', ascending, and the digest of everybody's (32 bytes)."""

    entries: tuple[KeyEntry, ...]
    list_digest: bytes

    def __post_init__(self) -> None:
        check_ascending("neighbour list", tuple(entry.participant for entry in self.entries))
        check_size("list_digest", self.list_digest, HASH_BYTES)
