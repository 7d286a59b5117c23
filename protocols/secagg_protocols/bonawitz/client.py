"""A participant of Bonawitz: its secrets, its masks and what it opens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from ..core.step import Step
from ..core.wire import Envelope, Message
from ..dealing import client as dealing
from ..errors import SERVER
from . import steps
from .messages import AdvertiseKeys, KeyEntry, UnmaskRequest
from .params import Bonawitz


class PeerKeys(msgspec.Struct, frozen=True, array_like=True):
    """What another member of U₁ advertised, as far as it is still needed."""

    mask_key: bytes
    share_root: bytes


class Memory(dealing.Memory, array_like=True):
    """What a participant of Bonawitz remembers between messages. own: until the vector is masked."""

    own: steps.OwnSecrets | None = None
    peers: dict[int, PeerKeys] = msgspec.field(default_factory=dict)


class BonawitzClient(dealing.DealingClient):
    """Made by `Bonawitz.client`. See `core.client.Client` for the calls."""

    scheme: Bonawitz
    memory_type = Memory
    advertise_type = AdvertiseKeys

    # --- AdvertiseKeys

    def _draw(self) -> Message:
        self._memory.own, message = steps.advertise_keys(
            self.scheme, self.me, self._address, self.context, self._randomness
        )
        return message

    def _check_advertised(self, advertised: AdvertiseKeys) -> tuple[bytes, ...]:
        return steps.check_advertised(self.scheme, advertised, self.context)

    def _remember_peers(self, peers: Mapping[int, AdvertiseKeys]) -> None:
        self._memory.peers = {peer: PeerKeys(public.mask_key, public.share_root) for peer, public in peers.items()}

    # --- ShareKeys

    def _share_keys(self, entries: tuple[KeyEntry, ...], list_digest: bytes) -> list[Envelope]:
        dealt = super()._share_keys(entries, list_digest)
        # Not before: interrupted, it is asked again, and deals the same.
        self._memory.own = msgspec.structs.replace(self._memory.own, deal_seed=b"")
        return dealt

    def _deal(self, holders: Sequence[int]) -> tuple[bytes, Mapping[int, bytes]]:
        memory = self._memory
        return steps.deal(self.scheme, memory.session, self.me, memory.own, holders)

    def _accept(self, dealer: int, dealt: bytes) -> bytes:
        if dealer == self.me:
            return steps.kept_share(self.scheme, dealt)
        return steps.check_share(self.scheme, dealer, self.me, self._memory.peers[dealer].share_root, dealt)

    # --- MaskedInput

    def _layer_keys(self) -> tuple[bytes, ...]:
        return steps.layer_keys(self.scheme, self._memory.session, self.me, self._memory.own)

    def _contribute(self, vector: NDArray[np.integer[Any]]) -> list[Envelope]:
        memory = self._memory
        mask_keys = {peer: memory.peers[peer].mask_key for peer in memory.dealers if peer != self.me}
        blocks = steps.masked_input(self.scheme, memory.session, self.me, memory.own, mask_keys, vector)
        outgoing = [self.seal(Step.MASKED_INPUT.value, SERVER, block) for block in blocks]
        memory.own = None
        return outgoing

    # --- Unmasking

    def _open(self, message: UnmaskRequest) -> Message:
        return steps.unmasking(self.scheme, self._dealt, message)
