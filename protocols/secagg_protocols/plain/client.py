"""A participant of Plain: it sends its vector."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.client import Client
from ..core.step import Step
from ..core.wire import Envelope, Message
from ..errors import SERVER
from . import steps
from .params import Plain


class PlainClient(Client):
    """Made by `Plain.client`. See `core.client.Client` for the calls."""

    scheme: Plain

    def _start(self) -> list[Envelope]:
        return []

    def _contribute(self, vector: NDArray[np.integer[Any]]) -> list[Envelope]:
        # Not a comprehension: its variable would keep a block while the next one is packed.
        return list(map(partial(self.seal, Step.SUM.value, SERVER), steps.send(self.scheme, vector)))

    def _handle(self, kind: str, message: Message) -> list[Envelope]:
        raise AssertionError(kind)

    def _forget(self) -> None:
        pass
