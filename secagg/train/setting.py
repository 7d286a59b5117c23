"""What one setting means, and which values it takes: said once, at its field, for the library and the command line.

    rounds: Annotated[int, AtLeast(1), Option("Communication rounds.")] = 20

`check` is called where the value that holds such fields is made.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Literal, Protocol, get_args, get_origin, get_type_hints

from secagg_protocols.errors import ParameterError


@dataclass(frozen=True)
class Setting:
    """A field's meaning, in one line."""

    meaning: str


@dataclass(frozen=True)
class Option(Setting):
    """A field that is also an option of the command line. metavar: what stands for its value.

    flag: its name there, where it is not the field's.
    """

    metavar: str | None = None
    flag: str | None = None


@dataclass(frozen=True)
class Called:
    """What the library calls the field where it refuses a value of it, if not by the field's own name.

    converted: it refuses another number then, in its own unit.
    """

    names: tuple[str, ...]
    converted: bool = False


class Check(Protocol):
    """Which values a field takes."""

    def check(self, name: str, value: Any) -> None:
        """Raise `ParameterError` for any other value."""


@dataclass(frozen=True)
class AtLeast:
    """A number from `least` up."""

    least: int

    def check(self, name: str, value: int) -> None:
        """Raise `ParameterError` for a smaller one."""
        if value < self.least:
            raise ParameterError(f"{name} = {value!r} must be at least {self.least}")


@dataclass(frozen=True)
class AtMost:
    """A number up to `most`: beyond it, no run would end."""

    most: int

    def check(self, name: str, value: int) -> None:
        """Raise `ParameterError` for a larger one."""
        if value > self.most:
            raise ParameterError(f"{name} = {value!r} must be at most {self.most}")


@dataclass(frozen=True)
class Positive:
    """A finite number above 0."""

    def check(self, name: str, value: float) -> None:
        """Raise `ParameterError` for any other."""
        if not (value > 0 and math.isfinite(value)):
            raise ParameterError(f"{name} = {value!r} must be a finite number above 0")


@dataclass(frozen=True)
class BelowOne:
    """A number strictly between 0 and 1."""

    def check(self, name: str, value: float) -> None:
        """Raise `ParameterError` for any other."""
        if not 0 < value < 1:
            raise ParameterError(f"{name} = {value!r} must be strictly between 0 and 1")


@dataclass(frozen=True)
class OneOf:
    """One of these names. They may be looked up late: schemes of other packages are."""

    names: Collection[str]

    def check(self, name: str, value: str) -> None:
        """Raise `ParameterError` for any other."""
        if value not in self.names:
            raise ParameterError(f"{name} = {value!r} is not known; choose {' or '.join(self.names)}")


CHECKS = (AtLeast, AtMost, Positive, BelowOne, OneOf)


class Group(Protocol):
    """A dataclass of such fields."""

    __dataclass_fields__: ClassVar[dict[str, Any]]


@dataclass(frozen=True)
class Field:
    """One field of a group: its name, its type and what it says of itself."""

    name: str
    type: Any
    says: tuple[object, ...]

    @classmethod
    def of(cls, name: str, hint: Any) -> Field:
        """Make one of a type hint, `Annotated` or not."""
        says = getattr(hint, "__metadata__", ())
        return cls(name, hint.__origin__ if says else hint, says)

    def check(self, value: Any) -> None:
        """Raise `ParameterError` for a value that the field does not take. None stands for what was left out."""
        if value is None:
            return
        for check in self.checks:
            check.check(self.name, value)

    @property
    def checks(self) -> tuple[Check, ...]:
        """Which values it takes; of a type that lists them, those."""
        said = tuple(one for one in self.says if isinstance(one, CHECKS))
        listed = [
            name for kind in (self.type, *get_args(self.type)) if get_origin(kind) is Literal for name in get_args(kind)
        ]
        return (*said, OneOf(listed)) if listed else said


def fields_of(group: Group | type[Group]) -> Iterator[Field]:
    """Yield the fields of a dataclass, their types resolved."""
    kind = group if isinstance(group, type) else type(group)
    hints = get_type_hints(kind, include_extras=True)
    for item in fields(kind):
        yield Field.of(item.name, hints[item.name])


def check(group: Group) -> None:
    """Raise `ParameterError` for the first field whose value it does not take."""
    for field in fields_of(group):
        field.check(getattr(group, field.name))
