"""A participant of ThresholdCkks: its one-time key, its ciphertext, and the one sum it opens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from secagg_protocols import shamir
from secagg_protocols.dealing import client as dealing
from secagg_protocols.dealing.messages import UnmaskRequest
from secagg_protocols.errors import SERVER, ProtocolViolation
from secagg_protocols.scheme import Step
from secagg_protocols.wire import Envelope, Message

from . import rounds
from .messages import AdvertiseKeys, Encrypt, Opening
from .params import ThresholdCkks


class Memory(dealing.Memory, array_like=True):
    """What a participant of ThresholdCkks remembers between messages. own: until the vector is encrypted."""

    own: rounds.OwnSecrets | None = None


class ThresholdCkksClient(dealing.DealingClient):
    """Made by `ThresholdCkks.client`. See `machine.Client` for the calls."""

    scheme: ThresholdCkks
    memory_type = Memory
    advertise_type = AdvertiseKeys

    def _draw(self) -> Message:
        self._memory.own = rounds.make_secrets(self.scheme, self._randomness)
        return rounds.advertise(self.scheme, self._memory.own, self.context, self._randomness)

    def _check_advertised(self, advertised: AdvertiseKeys) -> tuple[bytes, ...]:
        return rounds.check_advertised(self.scheme, advertised, self.context)

    def _remember_peers(self, peers: Mapping[int, Any]) -> None:
        pass  # nothing of what they advertised is needed again

    def _deal(self, holders: Sequence[int]) -> tuple[bytes, Mapping[int, bytes]]:
        memory = self._memory
        dealt = rounds.deal(self.scheme, memory.session, self.me, memory.own.ring_seed, holders)
        return b"", dict(zip(holders, dealt, strict=True))

    def _accept(self, dealer: int, dealt: bytes) -> bytes:
        if len(dealt) != self.scheme.share_bytes:
            raise ProtocolViolation(f"a key share has {len(dealt)} bytes, not {self.scheme.share_bytes}", {dealer})
        shamir.check(dealt)
        return dealt

    def _contribute(self, vector: NDArray[np.integer[Any]]) -> list[Envelope]:
        memory, scheme = self._memory, self.scheme
        encryption = rounds.Encryption.of(scheme, memory.session, self.me, memory.own.ring_seed)
        outgoing = [
            self.seal(Step.ENCRYPT.value, SERVER, Encrypt(block, scheme.ciphertexts.to_bytes(residues)))
            for block, residues in rounds.encrypt(encryption, vector)
        ]
        memory.own = None
        return outgoing

    def _open(self, message: UnmaskRequest) -> Message:
        """Add up the shares over the one set of survivors: two sums over different sets could be subtracted."""
        shares = self._memory.shares
        missing = tuple(survivor for survivor in message.survivors if survivor not in shares)
        if missing:
            return Opening(missing, memoryview(b""))
        return Opening((), rounds.add_shares(self.scheme, [shares[survivor] for survivor in message.survivors]))
