"""The scheme under attack: a defence's own, or one that is broken on purpose."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from secagg.schemes import SCHEMES, make_scheme
from secagg_protocols import Keys, ParameterError

from ..defence import Defence

Make = Callable[[int, int], Any]
"""Makes a scheme of (participants, length)."""
Broken = Mapping[str, Make]
"""What is broken, as `Defence.broken` says it → what makes such a scheme."""


def scheme_of(defence: Defence, participants: int, length: int, broken: Broken, **parameters: Any) -> Any:
    """Return the scheme of a defence, or one of `broken`. parameters: of a defence's own, as `make_scheme` takes them.

    Raises `ParameterError` where there is neither.
    """
    if defence.broken in broken:
        return broken[defence.broken](participants, length)
    if defence.broken or defence.scheme is None:
        raise ParameterError(f"defence {defence.name!r} is no scheme that this attack is for")
    return make_scheme(defence.scheme, participants, length, adversary=defence.adversary, **parameters)


def lacking(check: str, defence: Defence, **parameters: Any) -> Make:
    """Return what makes the scheme of a defence without a check: by its name in `secagg.conformance.weaknesses`, of
    participants, or in `weak_servers`.
    """

    def make(participants: int, length: int) -> Any:
        from secagg.conformance import weak_servers, weaknesses
        from secagg.conformance.weakened import weakened

        weakness = vars(weaknesses).get(check) or vars(weak_servers)[check]
        kind = weakened(SCHEMES[str(defence.scheme)], weakness)
        return kind(participants, length, adversary=defence.adversary, **parameters)

    return make


def has_own_keys(defence: Defence) -> bool:
    """Tell whether each participant has keys that no other has."""
    return defence.scheme is not None and SCHEMES[defence.scheme].traits.keys == Keys.OWN


def seen(what: str, defence: Defence) -> str:
    """Name what an attacker on a protocol sees: this, of a scheme against this server."""
    broken = f", {defence.broken}" if defence.broken else ""
    return f"{what}, {defence.scheme}, {defence.adversary}{broken}"
