"""A participant of LightSecAgg: its mask in coded shares, and the one sum of shares that it opens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.step import Step
from ..core.wire import Envelope
from ..dealing.messages import UnmaskRequest
from ..dealing.summing import SummingClient
from ..errors import SERVER
from . import steps
from .messages import ShareMasks, Unmasking
from .params import LightSecAgg


class LightSecAggClient(SummingClient):
    """Made by `LightSecAgg.client`. See `core.client.Client` for the calls."""

    scheme: LightSecAgg
    deal_type = ShareMasks

    def _deal(self, holders: Sequence[int]) -> tuple[bytes, Mapping[int, bytes]]:
        memory = self._memory
        return steps.deal(self.scheme, memory.session, self.me, memory.own.seed, holders)

    def _accept(self, dealer: int, dealt: bytes) -> bytes:
        return steps.accept(self.scheme, dealer, dealt)

    def _contribute(self, vector: NDArray[np.integer[Any]]) -> list[Envelope]:
        memory = self._memory
        blocks = steps.masked_input(self.scheme, memory.session, self.me, memory.own.seed, vector)
        outgoing = list(map(partial(self.seal, Step.MASKED_INPUT.value, SERVER), blocks))
        memory.own = None
        return outgoing

    def _open(self, message: UnmaskRequest) -> Unmasking:
        return steps.unmasking(self.scheme, self._memory.shares, message.survivors)
