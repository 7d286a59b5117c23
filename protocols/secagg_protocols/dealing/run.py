"""What whole protocols that deal shares, as prose, keep beside the steps: what was sent, and who is still there."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from ..core.step import Step
from ..core.wire import Message

M = TypeVar("M", bound=Message)

Sent = Mapping[str, Mapping[int, Sequence[Message]]]
"""All that was sent: kind of message → the participant that sent it, or was sent it → messages."""


@dataclass(frozen=True, slots=True)
class Wire:
    """What was sent, and who is still there to answer. gone: participant → the first step that it does not answer."""

    steps: tuple[Step, ...]
    gone: Mapping[int, Step]
    sent: dict[str, dict[int, list[Message]]] = field(default_factory=lambda: defaultdict(lambda: defaultdict(list)))

    def __call__(self, who: int, message: M) -> M:
        self.sent[type(message).__name__][who].append(message)
        return message

    def answers(self, who: int, step: Step) -> bool:
        return who not in self.gone or self.steps.index(step) < self.steps.index(self.gone[who])
