"""What the fields of a message may hold, said once, beside the field.

Sizes and ranges that never change are msgspec's `Meta`: checked when a message is made and when it is decoded. Sizes
that follow from the scheme name its property (`Exactly`, `AtMost`); the first kind is checked by `check_sizes`, where a
machine knows its scheme. Both say how long a message can be (`longest`), and what the table of its fields says
(`as_markdown`).
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import prod
from operator import attrgetter
from typing import Annotated, Any, TypeAlias, get_args, get_origin

import msgspec
from msgspec import Meta

from ..errors import ParameterError, ProtocolViolation
from ..primitives.domain import MAX_ID

MAX_BLOCK = 2**32 - 1


@dataclass(frozen=True, slots=True)
class Exactly:
    """The field has as many bytes as the scheme's property says. of: its name; with dots, of a property of one."""

    of: str


@dataclass(frozen=True, slots=True)
class AtMost:
    """The field has at most so many bytes, a list so many entries: the product of the scheme's properties."""

    of: tuple[str, ...]


def at_most(*of: str) -> AtMost:
    """Return the annotation."""
    return AtMost(of)


Participant: TypeAlias = Annotated[int, Meta(ge=1, le=MAX_ID)]
"""A participant's id."""
Block: TypeAlias = Annotated[int, Meta(ge=0, le=MAX_BLOCK)]
"""Number of a block, from 0."""
Digest: TypeAlias = Annotated[bytes, Meta(min_length=32, max_length=32)]
"""A SHA-256, or a commitment or root that is one."""
Nonce: TypeAlias = Annotated[bytes, Meta(min_length=16, max_length=16)]
"""Fresh bytes."""
_PUBLIC_KEY = Exactly("suite.agreement.public_key_bytes")
PublicKey: TypeAlias = Annotated[bytes, _PUBLIC_KEY]
"""A key of the suite's agreement."""
Signature: TypeAlias = Annotated[bytes, AtMost(("suite.signatures.signature_bytes",))]
"""By a pinned identity; empty where nothing is signed."""


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a message. inner: what a list's entries are. low, high: of an integer, or of a length in bytes.

    size: of a field's bytes, or a list's entries, where it follows from the scheme.
    """

    name: str
    kind: type
    inner: Field | None = None
    low: int | None = None
    high: int | None = None
    size: Exactly | AtMost | None = None

    def check(self, value: Any) -> None:
        """Raise `ValueError` unless a value is in range, or as long as it must be."""
        measured = value if self.kind is int else len(value)
        what = "is" if self.kind is int else "has so many bytes:" if self.inner is None else "has so many entries:"
        if self.low is not None and measured < self.low:
            raise ValueError(f"{self.name} {what} {measured}, below {self.low}")
        if self.high is not None and measured > self.high:
            raise ValueError(f"{self.name} {what} {measured}, above {self.high}")

    def most(self, scheme: object) -> int:
        """Return the most bytes, or entries, that it has under a scheme."""
        try:
            match self.size:
                case Exactly(of):
                    return int(attrgetter(of)(scheme))
                case AtMost(of):
                    return prod(int(attrgetter(name)(scheme)) for name in of)
        except AttributeError as error:
            raise ParameterError(f"nothing says how long {self.name} can be: {error}") from None
        if self.high is None:
            raise ParameterError(f"nothing says how long {self.name} can be: annotate it, or state payload_limit")
        return self.high

    def longest(self, scheme: object) -> int:
        """Return the most bytes that it takes on the wire."""
        if self.kind is int:
            return 5 if self.high is not None and self.high < 1 << 32 else 9
        if issubclass(self.kind, msgspec.Struct):
            return longest(self.kind, scheme)
        each = 1 if self.inner is None else self.inner.longest(scheme)
        return 5 + self.most(scheme) * each

    @property
    def described(self) -> str:
        """Its type and size, for a table."""
        if self.inner is not None:
            return f"list of {self.inner.described}; {self._size('entries')}"
        if self.kind is int:
            return f"integer, {self.low} … {'2³² − 1' if self.high == MAX_ID else self.high}"
        if issubclass(self.kind, msgspec.Struct):
            return self.kind.__name__
        return ("text, " if self.kind is str else "") + self._size("bytes")

    def _size(self, unit: str) -> str:
        match self.size:
            case Exactly(of):
                return f"`{of}` {unit}"
            case AtMost(of):
                return f"at most {' · '.join(f'`{name}`' for name in of)} {unit}"
        return f"{self.high} {unit}" if self.low == self.high else f"{self.low or 0} … {self.high} {unit}"


@lru_cache(maxsize=256)
def fields_of(message: type[msgspec.Struct]) -> tuple[Field, ...]:
    """Return a message's fields, in the order in which they travel."""
    return tuple(_field(field.name, field.type) for field in msgspec.structs.fields(message))


def _field(name: str, hint: Any) -> Field:
    said: list[Any] = []
    if get_origin(hint) is Annotated:
        hint, *said = get_args(hint)
    low = high = None
    size = None
    for item in said:
        if isinstance(item, Meta):
            low = item.min_length if item.ge is None else int(item.ge)
            high = item.max_length if item.le is None else int(item.le)
        else:
            size = item
    entries = get_args(hint)
    inner = _field(name, entries[0]) if entries else None
    return Field(name, get_origin(hint) or hint, inner, low, high, size)


@lru_cache(maxsize=256)
def _checked(message: type[msgspec.Struct]) -> tuple[Field, ...]:
    return tuple(field for field in fields_of(message) if field.low is not None or field.high is not None)


class CheckedWhenMade(msgspec.StructMeta):
    """Messages check their fields' `Meta` when they are made as well: msgspec does so only when it decodes.

    What `msgspec.structs.replace` puts into one is checked by whoever reads it.
    """

    def __call__(cls, *arguments: Any, **named: Any) -> Any:
        made = super().__call__(*arguments, **named)
        for field in _checked(cls):
            field.check(getattr(made, field.name))
        return made


def check_sizes(message: msgspec.Struct, scheme: Hashable, culprits: Iterable[int] = ()) -> None:
    """Raise `ProtocolViolation` unless every field has the size that the scheme gives it, where it gives one."""
    for name, size in _exact_sizes(type(message), scheme):
        found = len(getattr(message, name))
        if found != size:
            raise ProtocolViolation(f"{name} has {found} bytes, not {size}", culprits)


@lru_cache(maxsize=256)
def _exact_sizes(message: type[msgspec.Struct], scheme: Hashable) -> tuple[tuple[str, int], ...]:
    """Return the fields whose size follows from a scheme, and that size. Remembered: everyone's keys are checked."""
    return tuple((field.name, field.most(scheme)) for field in fields_of(message) if isinstance(field.size, Exactly))


def public_keys(message: type[msgspec.Struct]) -> int:
    """Return how many public keys a message holds."""
    return sum(field.size == _PUBLIC_KEY for field in fields_of(message))


def longest(message: type[msgspec.Struct], scheme: object) -> int:
    """Return the most bytes that a message can have under a scheme."""
    return 3 + sum(field.longest(scheme) for field in fields_of(message))


def longest_of(messages: Iterable[type[msgspec.Struct]], scheme: object) -> int:
    """Return the most bytes that any of some messages can have under a scheme."""
    return max(longest(message, scheme) for message in messages)


def as_markdown(messages: Sequence[type[msgspec.Struct]]) -> str:
    """Return the table of messages and their fields, in the order in which they travel."""
    rows = [(item.__name__, field) for item in messages for field in fields_of(item)]
    lines = [f"| {message} | {field.name} | {field.described} |" for message, field in rows]
    return "\n".join(["| message | field | what |", "|---|---|---|", *lines])
