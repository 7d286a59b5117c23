"""The work of a round that no implementation can avoid, as counts. Each scheme counts its own (`Scheme.work`)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Work:
    """Unavoidable operations of one party: agreements, keystream bytes, signatures made and verified, bytes signed."""

    agreements: float = 0
    keystream_bytes: float = 0
    signed: float = 0
    verified: float = 0
    hashed_bytes: float = 0
