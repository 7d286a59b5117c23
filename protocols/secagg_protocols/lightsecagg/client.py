"""A participant of LightSecAgg: its mask in coded shares, and the one sum of shares that it opens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.step import Step
from ..core.wire import Envelope
from ..dealing.messages import KeyList, SealedShares, UnmaskRequest
from ..dealing.summing import SummingClient
from ..errors import SERVER, ProtocolViolation
from ..packing.blocks import split
from . import rounds
from .messages import MaskedInput, ShareMasks, Unmasking
from .params import LightSecAgg


class LightSecAggClient(SummingClient):
    """Made by `LightSecAgg.client`. See `core.client.Client` for the calls."""

    scheme: LightSecAgg
    messages = MappingProxyType({kind.__name__: kind for kind in (KeyList, SealedShares, UnmaskRequest)})
    deal_type, opening_type = ShareMasks, Unmasking

    def _deal(self, holders: Sequence[int]) -> tuple[bytes, Mapping[int, bytes]]:
        memory, scheme = self._memory, self.scheme
        coded = rounds.encode_mask(scheme, memory.session, self.me, memory.own.seed, holders)
        shares, size = scheme.packing.to_bytes(coded), scheme.share_bytes
        return b"", {holder: bytes(shares[row * size : (row + 1) * size]) for row, holder in enumerate(holders)}

    def _accept(self, dealer: int, dealt: bytes) -> bytes:
        if len(dealt) != self.scheme.share_bytes:
            raise ProtocolViolation(f"a coded share has {len(dealt)} bytes, not {self.scheme.share_bytes}", {dealer})
        self.scheme.packing.from_bytes(dealt)  # elements of their fields, every one
        return dealt

    def _contribute(self, vector: NDArray[np.integer[Any]]) -> list[Envelope]:
        memory, scheme = self._memory, self.scheme
        pieces, _ = rounds.draw_mask(scheme, memory.session, self.me, memory.own.seed)
        masked = rounds.mask(scheme, scheme.packing.pack(vector), pieces).astype(np.uint64)
        memory.own = None
        kind = Step.MASKED_INPUT.value
        return [self.seal(kind, SERVER, MaskedInput(block, data)) for block, data in split(scheme.packing, masked)]

    def _add_up(self, shares: Sequence[bytes]) -> memoryview:
        return self.scheme.packing.to_bytes(rounds.aggregate_shares(self.scheme, shares))
