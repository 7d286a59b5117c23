"""Schemes with one check left out, as values: an attack that succeeds on one and fails on the sound one says something.

`weakened(Bonawitz, MODEL_CONTEXT)` is a class of schemes like any other, made and run as `Bonawitz` is, whose machines
do all that Bonawitz's do but for that check. Its schemes have the ids of the sound ones, so a round may hold both: one
participant that skips the check among those that do not (`attack.Settings.schemes`).

`weaknesses` has those of our schemes. One of your own is a `Weakness`: classes that go before the machines' own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cache
from typing import Any, TypeVar, cast

from secagg_protocols import ParameterError, Scheme
from secagg_protocols.dealing import Dealing

Kind = TypeVar("Kind", bound=Scheme)


@dataclass(frozen=True)
class Weakness:
    """One check that is left out. check: its name. says: what is done instead.

    client, server, scheme: what goes before a participant's machine, the server's and the scheme; None: nothing does.
    within: the base of the schemes that have this check.
    """

    check: str
    says: str
    client: type | None = None
    server: type | None = None
    scheme: type | None = None
    within: type = Dealing


def weakened(kind: type[Kind], *weaknesses: Weakness) -> type[Kind]:
    """Return a kind of schemes without these checks. Raises `ParameterError` for a kind that has no such check."""
    return cast(type[Kind], _weakened(kind, weaknesses))


def without(scheme: Kind, *weaknesses: Weakness) -> Kind:
    """Return the same scheme without these checks. Raises `ParameterError` as `weakened` does."""
    parameters = {item.name: getattr(scheme, item.name) for item in fields(scheme)}
    return weakened(type(scheme), *weaknesses)(**parameters)


@cache  # one class, so that equal schemes are equal
def _weakened(kind: Any, weaknesses: tuple[Weakness, ...]) -> Any:
    for weakness in weaknesses:
        if weakness.within not in kind.__mro__:
            raise ParameterError(
                f"weakness {weakness.check!r} is one of schemes that are {weakness.within.__name__}, and "
                f"{kind.__name__} is none: choose another weakness"
            )
    client, server = kind.machines
    machines = (
        _before(client, [weakness.client for weakness in weaknesses], {}),
        _before(server, [weakness.server for weakness in weaknesses], {}),
    )
    instead = " and ".join(weakness.says for weakness in weaknesses)
    said = {"__doc__": f"{kind.__name__}, where {instead}.", "traits": kind.traits, "machines": machines}
    return _before(kind, [weakness.scheme for weakness in weaknesses], said)


def _before(kind: Any, first: list[type | None], said: Mapping[str, Any]) -> Any:
    bases = [base for base in first if base is not None]
    return type(kind)(f"Weakened{kind.__name__}", (*bases, kind), dict(said))
