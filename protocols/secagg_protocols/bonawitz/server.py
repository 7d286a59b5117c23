"""The server of Bonawitz: it recovers secrets and takes the masks off."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import numpy as np

from ..core.agreements import Agreements, agree, agree_with
from ..dealing.server import DealingServer
from ..errors import ProtocolViolation, RoundFailed
from ..packing.blocks import BlockSum
from ..packing.masks import add_masks, add_masks_with
from ..packing.sums import Output
from ..primitives import merkle, shamir
from ..primitives.recovery import OpenedShares, Recovery, Unrecoverable
from . import rounds
from .messages import AdvertiseKeys, ConsistencyCheck, MaskedInput, ShareKeys, Unmasking
from .params import Bonawitz


class BonawitzServer(DealingServer):
    """Made by `Bonawitz.server`. See `core.server.Server` for the calls."""

    scheme: Bonawitz
    messages = MappingProxyType(
        {kind.__name__: kind for kind in (AdvertiseKeys, ShareKeys, MaskedInput, ConsistencyCheck, Unmasking)}
    )
    advertise_type, upload_type = AdvertiseKeys, MaskedInput
    _sum: BlockSum

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._digests: dict[int, bytes] = {}
        self._opened: dict[int, Unmasking] = {}
        self._secrets: dict[int, bytes] = {}

    def _new_sum(self) -> BlockSum:
        return BlockSum(self.scheme.domain)

    # --- AdvertiseKeys and ShareKeys

    def _check_advertised(self, message: AdvertiseKeys) -> tuple[bytes, ...]:
        return rounds.check_advertised(self.scheme, message, self.context)

    def _check_told(self, sender: int, share_digests: bytes) -> None:
        expected = self.scheme.participants * self.scheme.secrets * merkle.HASH_BYTES if self.scheme.active else 0
        if len(share_digests) != expected:
            raise ProtocolViolation(f"{len(share_digests)} bytes of share digests, not {expected}", {sender})
        self._digests[sender] = share_digests

    # --- Unmasking

    def _take_opened(self, sender: int, message: Unmasking) -> bool:
        dealers = self._dealers_to(sender)
        if message.missing and not set(message.missing) <= set(dealers) - {sender}:
            raise ProtocolViolation("shares are reported missing of someone who dealt none", {sender})
        if len(message.shares) != (len(dealers) - len(message.missing)) * shamir.SHARE_BYTES:
            raise ProtocolViolation(f"{len(message.shares)} bytes of opened shares", {sender})
        shamir.check(message.shares)
        self._opened[sender] = message
        return True

    def _dealers_to(self, holder: int) -> tuple[int, ...]:
        """Return whose shares a holder was delivered, itself included, ascending: all of U₂."""
        return self._dealers

    def _finish(self, answered: tuple[int, ...]) -> Output:
        if not self._secrets:  # they are here already when an executor failed after they were recovered
            self._secrets, self._opened = self._recover(answered), {}
        plus = [
            rounds.self_mask_key(self.scheme, self._session, survivor, self._secrets[survivor])
            for survivor in self._survivors
        ]
        minus: list[bytes] = []
        survivors = frozenset(self._survivors)
        rows = [
            (vanished, self._secrets[vanished], tuple(peer for peer in self._circle(vanished) if peer in survivors))
            for vanished in self._dealers
            if vanished not in survivors
        ]
        public = {peer: self._advertised[peer].mask_key for peer in self._survivors}
        agreements = Agreements(self.scheme.suite, self._session, public, rows)
        executor = self.workers.executor
        keys = agree(agreements) if executor is None else agree_with(executor, self.workers.parts, agreements)
        pairs = [(vanished, survivor) for vanished, _, peers in rows for survivor in peers]
        for (vanished, survivor), key in zip(pairs, keys, strict=True):
            # What the survivor added comes off, what it subtracted goes back on.
            (plus if survivor > vanished else minus).append(key)
        if executor is None:
            add_masks(self._sum.words, 0, minus, plus)
        else:
            add_masks_with(executor, self.workers.parts, self._sum.words, minus, plus)
        self._secrets = {}
        return self._sum.output(self._survivors, self.step)

    def _recover(self, answered: tuple[int, ...]) -> dict[int, bytes]:
        told = rounds.Told(self.scheme, self._address, self._advertised, self._digests, frozenset(self._survivors))
        recovery = Recovery(self.scheme.quorum, told, self._randomness)
        try:
            return self._reconstruct(recovery, answered)
        except Unrecoverable as failure:
            raise RoundFailed(
                self.step.value, failure.have, self.scheme.quorum, str(failure), failure.culprits
            ) from None
        finally:
            self._corrections.extend(recovery.corrections)

    def _reconstruct(self, recovery: Recovery, answered: tuple[int, ...]) -> dict[int, bytes]:
        """Return every dealer's secret, out of what was opened. Raises `Unrecoverable`."""
        return recovery.secrets(self._opened_shares(answered))

    def _opened_shares(self, answered: tuple[int, ...]) -> OpenedShares:
        shape = (len(answered), len(self._dealers))
        shares = np.zeros((*shape, shamir.SHARE_BYTES), dtype=np.uint8)
        present = np.ones(shape, dtype=np.bool_)
        for row, holder in enumerate(answered):
            message = self._opened[holder]
            if message.missing:
                present[row] = ~np.isin(self._dealers, message.missing)
            shares[row, present[row]] = np.frombuffer(message.shares, dtype=np.uint8).reshape(-1, shamir.SHARE_BYTES)
        return OpenedShares(answered, self._dealers, shares, present)
