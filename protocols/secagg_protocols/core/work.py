"""The work of a round that no implementation can avoid, as counts. Each scheme counts its own (`Scheme.work`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from .step import Step


@dataclass(frozen=True, slots=True)
class Work:
    """Unavoidable operations of one party: agreements, keystream bytes, signatures made and verified, bytes signed."""

    agreements: float = 0
    keystream_bytes: float = 0
    signed: float = 0
    verified: float = 0
    hashed_bytes: float = 0


class MeasuredRound(Protocol):
    """A round that was counted. answered: step that is closed → who completed it. bytes_sent, bytes_received:
    participant → encoded envelopes.
    """

    @property
    def answered(self) -> Mapping[Step, tuple[int, ...]]: ...
    @property
    def bytes_sent(self) -> Mapping[int, int]: ...
    @property
    def bytes_received(self) -> Mapping[int, int]: ...
