"""The one step that every dealing protocol has in common: what the members of U₃ sign."""

from __future__ import annotations

from collections.abc import Sequence

from ..domain import Use, digest


def survivors_digest(session: bytes, survivors: Sequence[int]) -> bytes:
    """Return the digest of U₃ that its members sign (through their envelope's signature): 32 bytes."""
    return digest(Use.SURVIVORS, session, *survivors)
