"""A participant of Bonawitz: its secrets, its masks and what it opens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from ..core.channels import PairwiseKeys
from ..core.step import Step
from ..core.wire import Envelope, Message
from ..dealing import client as dealing
from ..errors import SERVER
from ..packing.blocks import pack_blocks
from ..primitives import merkle, shamir
from ..primitives.domain import Use
from . import rounds
from .messages import AdvertiseKeys, MaskedInput, Unmasking, UnmaskRequest
from .params import Bonawitz


class PeerKeys(msgspec.Struct, frozen=True, array_like=True):
    """What another member of U₁ advertised, as far as it is still needed."""

    mask_key: bytes
    share_root: bytes


class Memory(dealing.Memory, array_like=True):
    """What a participant of Bonawitz remembers between messages. own: until the vector is masked."""

    own: rounds.OwnSecrets | None = None
    peers: dict[int, PeerKeys] = msgspec.field(default_factory=dict)


class BonawitzClient(dealing.DealingClient):
    """Made by `Bonawitz.client`. See `core.client.Client` for the calls."""

    scheme: Bonawitz
    memory_type = Memory
    advertise_type = AdvertiseKeys

    # --- AdvertiseKeys

    def _draw(self) -> Message:
        own = rounds.make_secrets(self.scheme, self._holders_at_start(), self._randomness)
        self._memory.own = own
        return rounds.advertise(self.scheme, self.me, own, self._address, self.context, self._randomness)

    def _holders_at_start(self) -> Sequence[int]:
        """Return to whom shares are dealt before anyone's keys are known: to everyone, so that they can be signed."""
        return range(1, self.scheme.participants + 1)

    def _check_advertised(self, advertised: AdvertiseKeys) -> tuple[bytes, ...]:
        return rounds.check_advertised(self.scheme, advertised, self.context)

    def _remember_peers(self, peers: Mapping[int, AdvertiseKeys]) -> None:
        self._memory.peers = {peer: PeerKeys(public.mask_key, public.share_root) for peer, public in peers.items()}

    # --- ShareKeys

    def _deal(self, holders: Sequence[int]) -> tuple[bytes, Mapping[int, bytes]]:
        shares = self._shares_for(self._memory.own, holders)
        if not self.scheme.active:
            return b"", shares
        digests = rounds.share_digests(self.scheme, self.me, self._memory.own)
        paths = merkle.paths(rounds.holder_leaves(self.scheme, digests))
        return digests, {holder: share + paths[holder - 1] for holder, share in shares.items()}

    def _shares_for(self, own: rounds.OwnSecrets, holders: Sequence[int]) -> dict[int, bytes]:
        """Return holder → this participant's shares for it."""
        size = self.scheme.secrets * shamir.SHARE_BYTES
        return {holder: own.shares[(holder - 1) * size : holder * size] for holder in holders}

    def _accept(self, dealer: int, dealt: bytes) -> bytes:
        if dealer == self.me:
            return dealt[: self.scheme.secrets * shamir.SHARE_BYTES]
        return rounds.check_share(self.scheme, dealer, self.me, self._memory.peers[dealer].share_root, dealt)

    # --- MaskedInput

    def _contribute(self, vector: NDArray[np.integer[Any]]) -> list[Envelope]:
        memory, scheme = self._memory, self.scheme
        assert memory.own is not None
        keys = PairwiseKeys(scheme.suite, Use.MASK_KEY, memory.session, self.me, memory.own.mask_secret)
        pairwise = {
            peer: keys.with_peer(peer, memory.peers[peer].mask_key) for peer in memory.dealers if peer != self.me
        }
        lanes = scheme.domain.lanes
        self_key = rounds.self_mask_key(scheme, memory.session, self.me, memory.own.seeds[0])
        outgoing = []
        for block, start, words in pack_blocks(lanes, vector):
            rounds.mask(words, self.me, self_key, pairwise, start)
            outgoing.append(self.seal(Step.MASKED_INPUT.value, SERVER, MaskedInput(block, lanes.to_bytes(words))))
        memory.own = None
        return outgoing

    # --- Unmasking

    def _open(self, message: UnmaskRequest) -> Message:
        memory, survivors = self._memory, set(message.survivors)
        opened, size = [], shamir.SHARE_BYTES
        missing = tuple(peer for peer in memory.dealers if peer not in memory.shares)
        for peer in memory.dealers:
            if peer in memory.shares:
                row = rounds.row_to_open(peer, survivors)
                opened.append(memory.shares[peer][row * size : (row + 1) * size])
        return Unmasking(missing, memoryview(b"".join(opened)))
