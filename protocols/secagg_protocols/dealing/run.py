"""What whole protocols that deal shares, as prose, keep beside the steps: what was sent, and who is still there."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..core.step import Step
from ..core.wire import Message
from ..primitives.randomness import Randomness

M = TypeVar("M", bound=Message)

Sent = Mapping[str, Mapping[int, Sequence[Message]]]
"""All that was sent: kind of message → the participant that sent it, or was sent it → messages."""


@dataclass(frozen=True, slots=True)
class Cast:
    """Who plays a round, and what each brings. randomness: everyone's, and the server's (0) where it draws.

    gone: participant → the first step that it does not answer.
    """

    vectors: Mapping[int, NDArray[np.integer[Any]]]
    randomness: Mapping[int, Randomness] = field(repr=False)
    gone: Mapping[int, Step]


@dataclass(frozen=True, slots=True)
class Wire:
    """What was sent, and who is still there to answer. gone: participant → the first step that it does not answer."""

    steps: tuple[Step, ...]
    gone: Mapping[int, Step]
    sent: dict[str, dict[int, list[Message]]] = field(default_factory=lambda: defaultdict(lambda: defaultdict(list)))

    def __call__(self, who: int, message: M) -> M:
        self.sent[type(message).__name__][who].append(message)
        return message

    def left(self, those: Iterable[int], step: Step) -> tuple[int, ...]:
        """Return who of them answers this step."""
        place = self.steps.index(step)
        return tuple(u for u in those if u not in self.gone or place < self.steps.index(self.gone[u]))


def nobody_verifies(signer: int, kind: str, payload: bytes, signature: bytes) -> None:
    """Take a signature for right: nobody cheats here."""
