"""Every scheme, by the name that the command line, reports and settings call it, and what each says of itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Set
from dataclasses import fields
from typing import Any

import secagg_he
import secagg_protocols
from secagg_protocols import Adversary, Keys, ParameterError, Scheme, Traits

from .registry import Registry

SCHEMES = Registry([*secagg_protocols.SCHEMES, *secagg_he.SCHEMES])
"""Name → class: our own, and those of other packages (`secagg.registry`)."""


class Having(Set[str]):
    """The names of the schemes whose traits are such, whatever package they come from."""

    def __init__(self, such: Callable[[Traits], bool]) -> None:
        self._such = such

    def __contains__(self, name: object) -> bool:
        return name in SCHEMES and self._such(SCHEMES[str(name)].traits)

    def __iter__(self) -> Iterator[str]:
        return (name for name, kind in SCHEMES.items() if self._such(kind.traits))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    @classmethod
    def _from_iterable(cls, names: Any) -> frozenset[str]:  # type: ignore[override]
        return frozenset(names)


PROTECTING = Having(lambda traits: traits.protects)
"""Schemes that hide vectors."""

WITHSTAND_ACTIVE = Having(lambda traits: Adversary.ACTIVE in traits.adversaries)
"""Schemes with a variant for a server that may do anything."""

EARLY_KEYS = Having(lambda traits: traits.early_keys)
"""Schemes whose participants advertise keys, and may do so before it is known what the round is about."""

ONE_KEY = Having(lambda traits: traits.keys == Keys.GROUP)
"""Schemes whose participants hold one key: they withstand no colluder."""

OWN_PROTECTING = frozenset(name for name, kind in SCHEMES.own.items() if kind.traits.protects)
"""What a participant takes part in unless its policy says otherwise: a scheme of another package it must name."""

_UNSAID = (None, 0)


def parameters_of(name: str) -> frozenset[str]:
    """Return the names of the parameters that a scheme takes."""
    return frozenset(item.name for item in fields(SCHEMES[name]))


def make_scheme(
    name: str, participants: int, length: int, *, colluders: int = 0, dropout_rate: float = 0, **parameters: Any
) -> Scheme:
    """Make the scheme called `name`. Further parameters that are None or 0 are left to it.

    colluders, dropout_rate: what it must withstand, in the form that the scheme takes (`Scheme.against`). (Where it
    cannot say, it is a participant's policy that refuses.) Raises `ParameterError` for a parameter that this scheme
    does not have, for an unknown name, and for whatever the scheme refuses.
    """
    if name not in SCHEMES:
        raise ParameterError(f"scheme {name!r} is unknown; choose from {', '.join(SCHEMES)}")
    kind = SCHEMES[name]
    known = parameters_of(name)
    parameters |= kind.against(participants, colluders, dropout_rate)
    said = {key: value for key, value in parameters.items() if value not in _UNSAID}
    if strange := sorted(said.keys() - known):
        raise ParameterError(f"{name} has no {strange[0]}: leave {strange[0]}={said[strange[0]]!r} out")
    return kind(participants, length, **said)
