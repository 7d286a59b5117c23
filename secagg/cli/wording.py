"""What the library says of its parameters, said of the options that were typed."""

from __future__ import annotations

import re
from collections.abc import Mapping, Set
from dataclasses import dataclass

_BEFORE = (
    r"\b(?:give|lower|raise|set) ",
    r"(?<!\w)--[a-z-]+ (?:or|and) ",
    r"(?<![\w-])(?=\w+_)",  # a name of several parts is no word of prose
)
"""Where the name of a parameter that stands without a value is its name, and not a word."""


@dataclass(frozen=True)
class Wording:
    """flags: a parameter as the library calls it → the option that gives it.

    converted: those that the option gives in another unit, a share for a count: it is named beside them.
    """

    flags: Mapping[str, str]
    converted: Set[str] = frozenset()

    def as_typed(self, text: str) -> str:
        """Return a refusal in the words of the command line."""
        names = "|".join(map(re.escape, sorted(self.flags, key=len, reverse=True)))
        text = re.sub(rf"(?<![\w/-])({names}) ?= ?([^\s,;:()]+)", self._with_value, text)
        for before in _BEFORE:
            text = re.sub(rf"({before})({names})(?![\w=-])", lambda found: found[1] + self.flags[found[2]], text)
        return text

    def _with_value(self, found: re.Match[str]) -> str:
        name, value = found.groups()
        flag = self.flags[name]
        return f"{name}={value} ({flag})" if name in self.converted else f"{flag} {value}"
