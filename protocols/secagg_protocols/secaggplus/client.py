"""A participant of SecAggPlus: Bonawitz among its neighbours."""

from __future__ import annotations

from collections.abc import Sequence
from types import MappingProxyType

from ..bonawitz import client as bonawitz
from ..bonawitz import rounds
from ..bonawitz.client import BonawitzClient
from ..bonawitz.messages import SealedShares, UnmaskRequest
from ..core.machine import CONTRIBUTE, START, Terminal, Transitions
from ..core.wire import Envelope, Message
from ..dealing.client import Waiting
from ..dealing.rounds import SEED_BYTES
from ..packing.masks import Keystream
from ..primitives import shamir
from ..primitives.domain import Use, separated
from ..primitives.kdf import derive
from .messages import NeighbourList
from .params import SecAggPlus

TRANSITIONS: Transitions = MappingProxyType(
    {
        (Terminal.NEW, START): Waiting.KEY_LIST,
        (Waiting.KEY_LIST, "NeighbourList"): Waiting.SEALED_SHARES,
        (Waiting.SEALED_SHARES, "SealedShares"): Waiting.VECTOR,
        (Waiting.VECTOR, CONTRIBUTE): Waiting.UNMASK_REQUEST,
        (Waiting.UNMASK_REQUEST, "UnmaskRequest"): Terminal.DONE,
    }
)


class Memory(bonawitz.Memory, array_like=True):
    """What a participant of SecAggPlus remembers between messages. deal_seed: until its shares are dealt."""

    deal_seed: bytes = b""


class SecAggPlusClient(BonawitzClient):
    """Made by `SecAggPlus.client`. See `core.client.Client` for the calls."""

    scheme: SecAggPlus
    memory_type = Memory
    messages = MappingProxyType({kind.__name__: kind for kind in (NeighbourList, SealedShares, UnmaskRequest)})
    list_kind = "NeighbourList"

    @property
    def transitions(self) -> Transitions:
        return TRANSITIONS

    @property
    def _fewest_listed(self) -> int:
        return 0  # of its neighbours any number may have vanished

    def _draw(self) -> Message:
        message = super()._draw()
        self._memory.deal_seed = self._randomness.bytes(SEED_BYTES)
        return message

    def _holders_at_start(self) -> Sequence[int]:
        return ()  # its neighbours are not known yet

    def _handle(self, kind: str, message: Message) -> list[Envelope]:
        if isinstance(message, NeighbourList):
            return self._share_keys(message.entries, message.list_digest)
        return super()._handle(kind, message)

    def _shares_for(self, own: rounds.OwnSecrets, holders: Sequence[int]) -> dict[int, bytes]:
        # A channel's key seals one message and no other: restored, it deals the same shares again.
        memory, suite = self._memory, self.scheme.suite
        info = separated(Use.NEIGHBOUR_SHARES, memory.session, self.me)
        stream = Keystream(derive(memory.deal_seed, suite.mask_key_bytes, info))
        memory.deal_seed = b""
        dealt = shamir.deal((own.mask_secret, *own.seeds), holders, self.scheme.quorum, stream)
        return {holder: share.tobytes() for holder, share in zip(holders, dealt, strict=True)}
