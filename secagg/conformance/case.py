"""A scheme under test, and what of it only its author can say."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeAlias

from secagg_protocols import Scheme

Spoil: TypeAlias = Callable[[Any], Any]
"""A message → the same one with content that no honest party sends, and that its receiver can see."""


def _secret_bytes(key: Any) -> tuple[bytes, ...]:
    """Return a group key that is bytes, or that says which of its bytes are secret."""
    if isinstance(key, bytes):
        return (key,)
    found: tuple[bytes, ...] = key.secrets
    return found


@dataclass(frozen=True)
class Case:
    """A scheme under test. make: (participants, length, **parameters) → scheme; its class, or a function.

    smallest: fewest participants. repeatable: whether a seed gives the same bytes. server_draws: whether the server
    draws randomness, so that one which is made again may send something else. package: another one that it needs.

    The attacks that forge messages ask for what only the scheme knows of its own; without, they are skipped:
    spoil: kind of a message from the server → `Spoil`, and what the participant then says. group_secrets: the key that
    participants share → the byte strings of it that nobody else may see.
    """

    name: str
    make: Callable[..., Scheme]
    smallest: int = 2
    repeatable: bool = True
    server_draws: bool = False
    package: str | None = None
    spoil: Mapping[str, tuple[Spoil, str]] = field(default_factory=dict)
    group_secrets: Callable[[Any], tuple[bytes, ...]] = _secret_bytes

    @cached_property
    def sample(self) -> Scheme:
        """One of five participants, as most attacks are made with: what it can do may depend on how many there are."""
        return self.make(5, 5)

    def __repr__(self) -> str:
        return f"Case({self.name})"
