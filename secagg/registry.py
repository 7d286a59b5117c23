"""Schemes by name: our own, and those that other packages bring through the entry point group `secagg.schemes`.

What a scheme says of itself is checked when it is registered. A scheme that leaves something out, or contradicts
itself, is refused by its name, and so is every list of schemes until it is repaired or removed: half a list would be a
guess. Our own are found by their names all the same: no package can take the place of one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from threading import Lock

from secagg_protocols import Adversary, Client, Keys, ParameterError, Scheme, SecAggError, Server, Traits

GROUP = "secagg.schemes"
"""Entry point group: the scheme's name → its class."""

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_SAY_ITSELF = ("name", "traits")


@dataclass(frozen=True, slots=True)
class _Round:
    """A round as `Scheme.opened` is asked about it."""

    listed: tuple[int, ...]
    survivors: tuple[int, ...]


class Registry(Mapping[str, type[Scheme]]):
    """Name → class of every scheme there is. Packages are asked for theirs when somebody first looks.

    Every look at anything but our own raises `ParameterError` while a scheme that a package brings is refused.
    """

    def __init__(self, own: Iterable[type[Scheme]]) -> None:
        self.own: Mapping[str, type[Scheme]] = {kind.name: kind for kind in own}
        """Those that come with secagg: no other package can add to them, or take a place in them."""
        self._added: dict[str, type[Scheme]] = {}
        self._found: dict[str, type[Scheme]] | None = None
        self._lock = Lock()

    def register(self, kind: type[Scheme]) -> None:
        """Add a scheme by hand, for this process. Raises `ParameterError` for one that is refused."""
        check(kind)
        _check_new(kind, self._all())
        self._added[kind.name] = kind

    def __getitem__(self, name: str) -> type[Scheme]:
        return self.own[name] if name in self.own else self._all()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._all())

    def _all(self) -> dict[str, type[Scheme]]:
        with self._lock:
            if self._found is None:
                self._found = _load(self.own)
        return self._found | self._added


def _load(own: Mapping[str, type[Scheme]]) -> dict[str, type[Scheme]]:
    kinds = dict(own)
    for entry in sorted(entry_points(group=GROUP), key=lambda entry: entry.name):
        try:
            kind = _loaded(entry)
            check(kind)
            if kind.name != entry.name:
                raise ParameterError(f"its name is {kind.name!r}: the entry point must be called so")
            _check_new(kind, kinds)
        except ParameterError as error:
            raise ParameterError(f"scheme {entry.name!r}, {_origin(entry)}, is refused: {error}") from None
        kinds[kind.name] = kind
    return kinds


def _loaded(entry: EntryPoint) -> type[Scheme]:
    try:
        kind: type[Scheme] = entry.load()
    except Exception as error:  # whatever a package raises when it is imported
        raise ParameterError(f"{entry.value} does not load ({type(error).__name__}: {error})") from error
    return kind


def _origin(entry: EntryPoint) -> str:
    return f"of the package {entry.dist.name}" if entry.dist is not None else f"of {entry.value}"


def _check_new(kind: type[Scheme], known: Mapping[str, type[Scheme]]) -> None:
    """A name is in every scheme id: two schemes of one name could be taken for each other."""
    if (other := known.get(kind.name)) is not None:
        raise ParameterError(
            f"two schemes are called {kind.name!r}, {_path(other)} and {_path(kind)}: rename or remove one"
        )


def _path(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


# --- what a scheme must say


def check(kind: type[Scheme]) -> None:
    """Raise `ParameterError` unless a class says everything that is asked about a scheme, without contradiction."""
    try:
        _check(kind)
    except ParameterError:
        raise
    except Exception as error:  # whatever a package's own code raises when it is asked
        text = f"{kind!r} cannot say what it is ({type(error).__name__}: {error}): repair or remove it"
        raise ParameterError(text) from error


def _check(kind: type[Scheme]) -> None:
    if not (isinstance(kind, type) and issubclass(kind, Scheme)):
        raise ParameterError(f"{kind!r} is no class of schemes: it must be a subclass of secagg.Scheme")
    if missing := [name for name in _SAY_ITSELF if name not in vars(kind)]:
        raise ParameterError(f"{_path(kind)} does not say its own {missing[0]}: what is inherited is another scheme's")
    if unsaid := sorted(kind.__abstractmethods__):
        raise ParameterError(f"{_path(kind)} does not say {', '.join(unsaid)}")
    if not hasattr(kind, "machines"):
        raise ParameterError(f"{_path(kind)} has no machines: bind machines = (client class, server class) to it")
    client, server = kind.machines
    if not (issubclass(client, Client) and issubclass(server, Server)):
        raise ParameterError(f"machines of {_path(kind)} are not (a secagg.Client, a secagg.Server)")
    if not (isinstance(kind.name, str) and _NAME.fullmatch(kind.name) and len(kind.name) <= 64):
        raise ParameterError(f"the name {kind.name!r} of {_path(kind)} is not lower-case words joined by hyphens")
    if not isinstance(kind.traits, Traits):
        raise ParameterError(f"traits of {_path(kind)} are {type(kind.traits).__name__}, not secagg.Traits")
    if (kind.traits.keys == Keys.GROUP) != (kind.make_group_key is not Scheme.make_group_key):
        raise ParameterError(f"{_path(kind)} says keys={kind.traits.keys}: only schemes with keys=group make_group_key")
    examples = _examples(kind)
    if Adversary.ACTIVE in kind.traits.adversaries and not any(example.active for example in examples):
        raise ParameterError(f"{_path(kind)} says that it withstands an active server, and gives no example of it")
    for example in examples:
        _check_example(example)


def _examples(kind: type[Scheme]) -> tuple[Scheme, ...]:
    try:
        examples: tuple[Scheme, ...] = kind.examples()
    except (SecAggError, TypeError, ValueError, ArithmeticError) as error:  # what a constructor makes of its values
        raise ParameterError(f"{_path(kind)}.examples() cannot be made ({error}): say some that can") from error
    if not examples or any(type(example) is not kind for example in examples):
        raise ParameterError(f"{_path(kind)}.examples() must be one or more schemes of that class")
    return examples


def _check_example(scheme: Scheme) -> None:
    """Raise `ParameterError` where what one scheme promises is not what its kind can do."""
    traits = scheme.traits
    guarantee = scheme.guarantee
    if (guarantee.adversary is not None) != traits.protects:
        raise ParameterError(f"traits say protects={traits.protects}, the guarantee adversary={guarantee.adversary}")
    if traits.protects and guarantee.adversary != scheme.adversary:
        raise ParameterError(
            f"made with adversary={scheme.adversary}, the guarantee says {guarantee.adversary}: they must be the same"
        )
    if not scheme.leakage:
        raise ParameterError("leakage says nothing: say who learns what")
    if any(len(row) != 2 or isinstance(row, str) for row in scheme.leakage):
        raise ParameterError(f"leakage of {_path(type(scheme))} is not rows of two: who, and what they learn")
    if not (type(scheme.quorum) is int and 1 <= scheme.quorum <= scheme.participants):
        raise ParameterError(
            f"quorum={scheme.quorum!r} of {_path(type(scheme))} is not among its {scheme.participants} participants"
        )
    if scheme.payload_limit < 1:  # it raises where a field of a message does not say how long it is
        raise ParameterError(f"payload_limit={scheme.payload_limit}: no message could be read")
    if scheme.upload_step not in scheme.steps:
        raise ParameterError(f"upload_step={scheme.upload_step} is none of its steps")
    for ended in _rounds(scheme):
        scheme.opened(ended)


def _rounds(scheme: Scheme) -> Iterator[_Round]:
    """Yield what rounds may have been like: all stay, some vanish before they upload, too few are left."""
    everyone = tuple(range(1, scheme.participants + 1))
    upload = scheme.steps.index(scheme.upload_step)
    for left in (everyone, everyone[:-1], ()):
        answered = {step: everyone if place < upload else left for place, step in enumerate(scheme.steps)}
        yield _Round(scheme.listed(answered), left)
