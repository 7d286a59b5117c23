"""Attacks and defences by name: ours, and those that packages bring by the entry points `secagg.attacks` and
`secagg.defences`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import entry_points
from typing import Any, TypeVar

from secagg.train.table.names import nearest
from secagg_protocols import ParameterError

from .attack import Attack
from .defence import DEFENCES, Defence
from .frameworks import FRAMEWORKS
from .inference import INFERENCE
from .protocol import PROTOCOL
from .records import RECORDS

ATTACKS_GROUP = "secagg.attacks"
DEFENCES_GROUP = "secagg.defences"

GROUPS = (
    ("Records that come back", RECORDS),
    ("What is told of sites and patients", INFERENCE),
    ("Against the protocol", PROTOCOL),
    ("Against frameworks as they ship", FRAMEWORKS),
)
BROUGHT = "Brought by packages"

Named = TypeVar("Named", Attack, Defence)


def attacks() -> dict[str, Attack]:
    """Return name → attack. Raises `ParameterError` for a package's that does not load, or that has another's name."""
    brought = [kind() if isinstance(kind, type) else kind for kind in _brought(ATTACKS_GROUP)]
    return _by_name([kind() for _, kinds in GROUPS for kind in kinds], brought, Attack)


def grouped(attacks: Sequence[Attack]) -> dict[str, list[Attack]]:
    """Return what they attack → those that do, in the order of the groups."""
    groups: dict[str, list[Attack]] = {title: [] for title in (*(title for title, _ in GROUPS), BROUGHT)}
    for attack in attacks:
        groups[next((title for title, kinds in GROUPS if type(attack) in kinds), BROUGHT)].append(attack)
    return {title: found for title, found in groups.items() if found}


def defences() -> dict[str, Defence]:
    """Return name → defence. An entry point of `secagg.defences` is one `Defence`."""
    return _by_name(DEFENCES, _brought(DEFENCES_GROUP), Defence)


def chosen(option: str, names: Iterable[str], known: Mapping[str, Named]) -> list[Named]:
    """Return those of these names, all where none is given. Raises `ParameterError` with the nearest names."""
    wanted = list(dict.fromkeys(names)) or list(known)
    for name in wanted:
        if name not in known:
            raise ParameterError(f"{option} {name!r} is unknown{nearest(name, known)}; choose from {', '.join(known)}")
    return [known[name] for name in wanted]


def _brought(group: str) -> list[Any]:
    found = []
    for entry in sorted(entry_points(group=group), key=lambda entry: entry.name):
        try:
            found.append(entry.load())
        except Exception as error:  # whatever a package raises when it is imported
            raise ParameterError(
                f"{entry.value}, of the entry points {group}, does not load ({type(error).__name__}: {error}): "
                "repair or remove its package"
            ) from error
    return found


def _by_name(own: Iterable[Named], brought: Sequence[Any], kind: type) -> dict[str, Named]:
    named = {one.name: one for one in own}
    for stranger in (one for one in brought if not isinstance(one, kind)):
        text = f"{stranger!r}, which a package brings, is no {kind.__name__}: repair or remove its package"
        raise ParameterError(text)
    for one in brought:
        if one.name in named:
            raise ParameterError(f"two are called {one.name!r}, one of them a package's: rename or remove that one")
        named[one.name] = one
    return named
