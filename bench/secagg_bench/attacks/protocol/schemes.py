"""The scheme under attack: a defence's own, or one that is broken on purpose."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from secagg.schemes import make_scheme
from secagg_protocols import ParameterError

from ..defence import Defence

Broken = Mapping[str, Callable[[int, int], Any]]
"""What is broken, as `Defence.broken` says it → what makes such a scheme of (participants, length)."""


def scheme_of(defence: Defence, participants: int, length: int, broken: Broken) -> Any:
    """Return the scheme of a defence, or one of `broken`. Raises `ParameterError` where there is neither."""
    if defence.broken in broken:
        return broken[defence.broken](participants, length)
    if defence.broken or defence.scheme is None:
        raise ParameterError(f"defence {defence.name!r} is no scheme that this attack is for")
    return make_scheme(defence.scheme, participants, length, adversary=defence.adversary)


def seen(what: str, defence: Defence) -> str:
    """Name what an attacker on a protocol sees: this, of a scheme against this server."""
    broken = f", {defence.broken}" if defence.broken else ""
    return f"{what}, {defence.scheme}, {defence.adversary}{broken}"
