"""A participant of Plain: it sends its vector."""

from __future__ import annotations

from enum import StrEnum
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.client import Client
from ..core.machine import CONTRIBUTE, START, Terminal, Transitions
from ..core.step import Step
from ..core.wire import Envelope, Message
from ..errors import SERVER
from ..packing.blocks import pack_blocks
from .messages import Sum
from .params import Plain


class Waiting(StrEnum):
    """What a participant waits for next."""

    VECTOR = "waiting for its vector"


TRANSITIONS: Transitions = MappingProxyType(
    {(Terminal.NEW, START): Waiting.VECTOR, (Waiting.VECTOR, CONTRIBUTE): Terminal.DONE}
)


class PlainClient(Client):
    """Made by `Plain.client`. See `core.client.Client` for the calls."""

    scheme: Plain
    messages = MappingProxyType({})

    @property
    def transitions(self) -> Transitions:
        return TRANSITIONS

    def _binding(self, kind: str) -> bytes:
        return self._address

    def _start(self) -> list[Envelope]:
        return []

    def _contribute(self, vector: NDArray[np.integer[Any]]) -> list[Envelope]:
        lanes = self.scheme.domain.lanes
        return [
            self.seal(Step.SUM.value, SERVER, Sum(block, lanes.to_bytes(words)))
            for block, _, words in pack_blocks(lanes, vector)
        ]

    def _handle(self, kind: str, message: Message) -> list[Envelope]:
        raise AssertionError(kind)

    def _forget(self) -> None:
        pass
