"""A participant of ThresholdCkks: its one-time key, its ciphertext, and the one sum it opens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from secagg_protocols import shamir
from secagg_protocols.dealing.summing import SummingClient
from secagg_protocols.errors import SERVER, ProtocolViolation
from secagg_protocols.scheme import Step
from secagg_protocols.wire import Envelope

from . import rounds
from .messages import Encrypt, Opening
from .params import ThresholdCkks


class ThresholdCkksClient(SummingClient):
    """Made by `ThresholdCkks.client`. See `machine.Client` for the calls."""

    scheme: ThresholdCkks
    opening_type = Opening

    def _deal(self, holders: Sequence[int]) -> tuple[bytes, Mapping[int, bytes]]:
        memory = self._memory
        dealt = rounds.deal(self.scheme, memory.session, self.me, memory.own.seed, holders)
        return b"", dict(zip(holders, dealt, strict=True))

    def _accept(self, dealer: int, dealt: bytes) -> bytes:
        if len(dealt) != self.scheme.share_bytes:
            raise ProtocolViolation(f"a key share has {len(dealt)} bytes, not {self.scheme.share_bytes}", {dealer})
        shamir.check(dealt)
        return dealt

    def _contribute(self, vector: NDArray[np.integer[Any]]) -> list[Envelope]:
        memory, scheme = self._memory, self.scheme
        encryption = rounds.Encryption.of(scheme, memory.session, self.me, memory.own.seed)
        outgoing = [
            self.seal(Step.ENCRYPT.value, SERVER, Encrypt(block, scheme.ciphertexts.to_bytes(residues)))
            for block, residues in rounds.encrypt(encryption, vector)
        ]
        memory.own = None
        return outgoing

    def _add_up(self, shares: Sequence[bytes]) -> memoryview:
        return rounds.add_shares(self.scheme, shares)
