"""Abort: a party that leaves a round, or ends it for another, may say so and why, in one line.

A courtesy, so that a refusal does not look like a slow network. Nothing rests on it: a participant's Abort makes it a
dropout, as its silence would; a server's makes a participant give up its secrets, and never answer. It is bound to the
round's address, known to both ends before any session is, and signed like every message where messages are signed.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from .wire import Message

ABORT = "Abort"
REASON_BYTES = 256
PAYLOAD_LIMIT = REASON_BYTES + 8


class Abort(Message, frozen=True, array_like=True, forbid_unknown_fields=True):
    """reason: why, 1 to 256 bytes of UTF-8, printable on one line. Texts of errors, which hold no secret."""

    reason: Annotated[str, Meta(min_length=1, max_length=REASON_BYTES)]

    def __post_init__(self) -> None:
        if not 0 < len(self.reason.encode()) <= REASON_BYTES or not self.reason.isprintable():
            raise ValueError(f"a reason is 1 to {REASON_BYTES} bytes that can be printed on one line")


def abort_for(why: object) -> Abort:
    """Return the message with this reason, cut to what it may hold."""
    line = "".join(character if character.isprintable() else " " for character in str(why).strip())
    return Abort(line.encode()[:REASON_BYTES].decode(errors="ignore") or "no reason was given")
