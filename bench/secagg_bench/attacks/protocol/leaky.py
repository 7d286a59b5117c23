"""Bonawitz, broken so that the server sees more than the sum."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from secagg_protocols import SERVER, Bonawitz, Envelope, Step
from secagg_protocols.bonawitz.client import BonawitzClient
from secagg_protocols.bonawitz.messages import MaskedInput
from secagg_protocols.bonawitz.server import BonawitzServer

BESIDE = "participants send the parity of each value beside their upload"
NOT_SHARED = "no two participants share a mask"


class TellingClient(BonawitzClient):
    """Sends more than it should."""

    def _contribute(self, vector: NDArray[np.integer[Any]]) -> list[Envelope]:
        parities = np.packbits(vector & 1, bitorder="little").tobytes().ljust(self.scheme.domain.lanes.size, b"\0")
        masked = super()._contribute(vector)
        return [*masked, self.seal(Step.MASKED_INPUT.value, SERVER, MaskedInput(0, memoryview(parities)))]


@dataclass(frozen=True)
class Telling(Bonawitz):
    """Bonawitz with something in the clear."""

    machines: ClassVar[Any] = (TellingClient, BonawitzServer)


class AloneClient(BonawitzClient):
    """Masks by its own seed alone, which is opened of all who stay."""

    def _contribute(self, vector: NDArray[np.integer[Any]]) -> list[Envelope]:
        dealers = self._memory.dealers
        self._memory.dealers = (self.me,)
        masked = super()._contribute(vector)
        self._memory.dealers = dealers
        return masked


@dataclass(frozen=True)
class Alone(Bonawitz):
    """Bonawitz without masks that two share."""

    machines: ClassVar[Any] = (AloneClient, BonawitzServer)


LEAKY: dict[str, type[Bonawitz]] = {BESIDE: Telling, NOT_SHARED: Alone}
"""What is broken → such a scheme."""
