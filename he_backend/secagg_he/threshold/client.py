"""A participant of ThresholdCkks: its one-time key, its ciphertext, and the one sum it opens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from secagg_protocols.core.step import Step
from secagg_protocols.core.wire import Envelope, Message
from secagg_protocols.dealing import messages as dealing
from secagg_protocols.dealing import summing
from secagg_protocols.dealing.messages import UnmaskRequest
from secagg_protocols.errors import SERVER

from . import steps
from .messages import KeyList, Opening, SealedShares
from .params import ThresholdCkks


class Memory(summing.Memory, array_like=True):
    """What a participant remembers between messages. commitment: to the challenge that dealers are checked with."""

    commitment: bytes = b""


class ThresholdCkksClient(summing.SummingClient):
    """Made by `ThresholdCkks.client`. See `core.client.Client` for the calls."""

    scheme: ThresholdCkks
    memory_type = Memory

    def _handle(self, kind: str, message: Message) -> list[Envelope]:
        match message:
            case KeyList():
                dealt = super()._handle(kind, message)
                self._memory.commitment = message.commitment  # not before: a list that is refused changes nothing
                return dealt
            case SealedShares():
                steps.check_challenge(message.challenge, self._memory.commitment)
                self._open_shares(dealing.SealedShares(message.dealers, message.sealed))
                return [self._check_shares(message.challenge)]
        return super()._handle(kind, message)

    def _deal(self, holders: Sequence[int]) -> tuple[bytes, Mapping[int, bytes]]:
        memory = self._memory
        return steps.deal(self.scheme, memory.session, self.me, memory.own.seed, holders)

    def _accept(self, dealer: int, dealt: bytes) -> bytes:
        return steps.accept(self.scheme, dealer, dealt)

    def _check_shares(self, challenge: bytes) -> Envelope:
        memory = self._memory
        scheme = self.scheme
        check = steps.share_check(scheme, memory.session, challenge, memory.dealers, memory.shares)
        memory.shares = steps.without_blinding(scheme, memory.shares)
        return self.seal("ShareCheck", SERVER, check)

    def _contribute(self, vector: NDArray[np.integer[Any]]) -> list[Envelope]:
        memory = self._memory
        blocks = steps.encrypt(self.scheme, memory.session, self.me, memory.own.seed, vector)
        outgoing = list(map(partial(self.seal, Step.ENCRYPT.value, SERVER), blocks))
        memory.own = None
        return outgoing

    def _open(self, message: UnmaskRequest) -> Opening:
        return steps.opening(self.scheme, self._memory.shares, message.survivors)
