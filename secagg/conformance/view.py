"""What parties of a round under attack have seen: all that passed, in order, and what some of them know together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from secagg_protocols import Envelope, SecAggError


@dataclass(frozen=True, slots=True)
class Passed:
    """One envelope, as it was delivered. sender: who sent it, whatever it says of itself. refused: why the recipient
    did not take it; None where it did."""

    sender: int
    recipient: int
    envelope: Envelope
    refused: SecAggError | None = None


Transcript = tuple[Passed, ...]


@dataclass(frozen=True)
class View:
    """What the parties of a coalition know of a round. transcript: what they received and sent, in order.

    memories: participant among them → what its machine held after each call, from the first: all its keys and shares.
    vectors: those of their own. total: the sum, where one of them is given it.
    """

    parties: frozenset[int]
    transcript: Transcript
    memories: Mapping[int, tuple[Any, ...]] = field(repr=False)
    vectors: Mapping[int, NDArray[Any]] = field(repr=False)
    total: NDArray[np.integer[Any]] | None

    def received(self, party: int, kind: str | None = None) -> tuple[Envelope, ...]:
        """Return what one of them received, in order; of one kind where that is given."""
        found = (passed.envelope for passed in self.transcript if passed.recipient == party)
        return tuple(envelope for envelope in found if kind in (None, envelope.kind))

    def sent(self, party: int, kind: str | None = None) -> tuple[Envelope, ...]:
        """Return what one of them sent, in order; of one kind where that is given."""
        found = (passed.envelope for passed in self.transcript if passed.sender == party)
        return tuple(envelope for envelope in found if kind in (None, envelope.kind))
