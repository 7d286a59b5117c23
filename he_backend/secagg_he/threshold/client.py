"""A participant of ThresholdCkks: its one-time key, its ciphertext, and the one sum it opens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from secagg_protocols.core.step import Step
from secagg_protocols.core.wire import Envelope, Message
from secagg_protocols.dealing import messages as dealing
from secagg_protocols.dealing import summing
from secagg_protocols.dealing.messages import SurvivorList, UnmaskRequest
from secagg_protocols.errors import SERVER, ProtocolViolation
from secagg_protocols.primitives import shamir

from . import rounds
from .messages import Encrypt, KeyList, Opening, SealedShares, ShareCheck
from .params import CHECKS, ThresholdCkks


class Memory(summing.Memory, array_like=True):
    """What a participant remembers between messages. commitment: to the challenge that dealers are checked with."""

    commitment: bytes = b""


class ThresholdCkksClient(summing.SummingClient):
    """Made by `ThresholdCkks.client`. See `core.client.Client` for the calls."""

    scheme: ThresholdCkks
    memory_type = Memory
    messages = MappingProxyType({kind.__name__: kind for kind in (KeyList, SealedShares, SurvivorList, UnmaskRequest)})
    opening_type = Opening

    def _handle(self, kind: str, message: Message) -> list[Envelope]:
        match message:
            case KeyList():
                dealt = super()._handle(kind, message)
                self._memory.commitment = message.commitment  # not before: a list that is refused changes nothing
                return dealt
            case SealedShares():
                self._check_challenge(message.challenge)
                self._open_shares(dealing.SealedShares(message.dealers, message.sealed))
                return [self._check_shares(message.challenge)]
        return super()._handle(kind, message)

    def _deal(self, holders: Sequence[int]) -> tuple[bytes, Mapping[int, bytes]]:
        memory = self._memory
        dealt = rounds.deal(self.scheme, memory.session, self.me, memory.own.seed, holders)
        return b"", dict(zip(holders, dealt, strict=True))

    def _accept(self, dealer: int, dealt: bytes) -> bytes:
        if len(dealt) != self.scheme.share_bytes:
            raise ProtocolViolation(f"a key share has {len(dealt)} bytes, not {self.scheme.share_bytes}", {dealer})
        shamir.check(memoryview(dealt)[: self.scheme.sum_bytes])
        if dealt[-1]:  # rare: a 17th bit
            rounds.decode_dealt(self.scheme, [dealt])
        return dealt

    # --- ShareCheck

    def _check_challenge(self, challenge: bytes) -> None:
        """One challenge for all holders, as the key list promised: two would take the blinding off."""
        if rounds.commit(challenge) != self._memory.commitment:
            raise ProtocolViolation("the challenge to dealers is not the one that the key list commits to", {SERVER})

    def _check_shares(self, challenge: bytes) -> Envelope:
        """Say what is held of whom, before anything is encrypted; the blinding has then served."""
        memory, scheme = self._memory, self.scheme
        held = [dealer for dealer in memory.dealers if dealer in memory.shares]
        dealt = [memory.shares[dealer] for dealer in held]
        values = np.zeros((len(memory.dealers), CHECKS), dtype=np.int64)
        present = np.isin(memory.dealers, held)
        values[present] = rounds.check_shares(scheme, memory.session, challenge, dealt)
        memory.shares = {dealer: share[: scheme.sum_bytes] for dealer, share in memory.shares.items()}
        missing = tuple(dealer for dealer in memory.dealers if dealer not in memory.shares)
        return self.seal("ShareCheck", SERVER, ShareCheck(missing, rounds.encode_check(values)))

    # --- Encrypt and Opening

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
