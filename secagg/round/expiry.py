"""Until when what is asked is answered: an ISO date and time with its offset; empty: always."""

from __future__ import annotations

from datetime import datetime

from secagg_protocols import ParameterError


def check_expiry(text: str) -> None:
    """Raise `ParameterError` for what is no time, or one without its offset."""
    if not text:
        return
    try:
        aware = datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        aware = False
    if not aware or not text.isprintable():
        raise ParameterError(f"expires={text!r} is no time with its offset, such as 2027-01-31T12:00:00+00:00")


def is_over(text: str, now: datetime) -> bool:
    """Tell whether it is no longer answered. now: with a time zone."""
    return bool(text) and now > datetime.fromisoformat(text)
