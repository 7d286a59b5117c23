"""Typed reading of a configuration that somebody else's runtime holds: every key must be known, and mean something."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from secagg_protocols import ParameterError

Value = bool | float | int | str

PREFIX = "secagg-"
WHERE = "the site's file"


def its_own(where: str, whose: str = "this node's") -> str:
    """Return what a mapping is called where it must be said whose it is."""
    return where if where == WHERE else f"{whose} {where}"


class Keys:
    """The keys of a mapping that begin with `prefix`. where: what the mapping is called in its runtime, for errors.
    folder: what its paths are relative to.
    """

    def __init__(self, given: Mapping[str, Value], prefix: str, where: str, folder: Path = Path()) -> None:
        self._prefix = prefix
        self.where = where
        self._folder = folder
        self._given = {key.removeprefix(prefix): value for key, value in given.items() if key.startswith(prefix)}
        self._known: set[str] = set()

    def number(self, name: str, default: int) -> int:
        """Return an integer."""
        value = self._take(name, default)
        if isinstance(value, bool) or not isinstance(value, int):
            raise ParameterError(f"{self.called(name)}={value!r} in {self.where} is no integer")
        return value

    def real(self, name: str) -> float | None:
        """Return a number, or None where none is given."""
        if name not in self._given:
            self._known.add(name)
            return None
        value = self._take(name, 0)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ParameterError(f"{self.called(name)}={value!r} in {self.where} is no number")
        return float(value)

    def flag(self, name: str, default: bool) -> bool:
        """Return a truth value."""
        value = self._take(name, default)
        if not isinstance(value, bool):
            raise ParameterError(f"{self.called(name)}={value!r} in {self.where} is neither true nor false")
        return value

    def text(self, name: str, default: str) -> str:
        """Return a text."""
        value = self._take(name, default)
        if not isinstance(value, str):
            raise ParameterError(f"{self.called(name)}={value!r} in {self.where} is no text")
        return value

    def names(self, name: str) -> frozenset[str] | None:
        """Return names, separated by commas, or None where the key is not there: an empty one does not mean all."""
        if name not in self._given:
            self._known.add(name)
            return None
        names = frozenset(map(str.strip, self.text(name, "").split(",")))
        if "" in names:
            raise ParameterError(f"{self.called(name)} in {self.where} has an empty name: leave the key out for all")
        return names

    def path(self, name: str, variable: str = "") -> Path | None:
        """Return a path, or None where none is given. variable: of the site's own environment, where the mapping says
        nothing."""
        value = self.text(name, "") or os.environ.get(variable, "")
        return self._folder / Path(value).expanduser() if value else None

    def called(self, name: str) -> str:
        """Return a key as it is written."""
        return self._prefix + name

    def _take(self, name: str, default: int | str) -> Value:
        self._known.add(name)
        return self._given.get(name, default)

    def check_all_read(self) -> None:
        """Raise `ParameterError` for a key that nothing reads: a typo must not lower a floor silently."""
        if strange := sorted(self._given.keys() - self._known):
            known = ", ".join(map(self.called, sorted(self._known)))
            raise ParameterError(f"{self.called(strange[0])} in {self.where} is unknown; the keys are {known}")
