"""Public constants of each column: the range of a number, the categories of a text.

A schema file is JSON, one entry per column, agreed before anyone looks at the data:

    {"age": [18, 95], "sex": ["female", "male"], "creatinine": [0.2, 12]}

Two numbers are a range; texts are categories. Constants that are computed from the rows instead tell everyone
something about those rows that no ε covers, which is why `from_rows` is reported as a warning.
"""

from __future__ import annotations

import json
import math
import reprlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from secagg_protocols.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

MAX_CATEGORIES = 50


@dataclass(frozen=True)
class Numeric:
    """A number between two public bounds; values beyond them count as the bound."""

    low: float
    high: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            raise InputError(f"range [{self.low}, {self.high}] must be two finite numbers, the lower one first")
        width = self.high - self.low
        if not (math.isfinite(width) and math.isfinite(2 / width)):
            raise InputError(f"range [{self.low}, {self.high}] is too wide or too narrow to scale by; choose another")

    @property
    def ends(self) -> tuple[float, float]:
        """The two bounds."""
        return self.low, self.high

    @property
    def listed(self) -> list[Any]:
        """What stands for it in a schema file."""
        return [int(bound) if bound.is_integer() else bound for bound in self.ends]

    def features(self, name: str) -> list[str]:
        """Name what a column of this name becomes."""
        return [name]

    def takes(self, values: pd.Series) -> pd.Series:
        """Tell which values are in the range."""
        return values.between(self.low, self.high)


@dataclass(frozen=True)
class Categorical:
    """A text that takes one of these values; any other, and a missing one, is encoded as none of them."""

    categories: tuple[str, ...]

    def __post_init__(self) -> None:
        if not 1 <= len(self.categories) <= MAX_CATEGORIES or len(set(self.categories)) < len(self.categories):
            raise InputError(f"{len(self.categories)} categories: give 1 to {MAX_CATEGORIES} different ones")

    @property
    def ends(self) -> tuple[str, str]:
        """The first and the last category."""
        return self.categories[0], self.categories[-1]

    @property
    def listed(self) -> list[Any]:
        """What stands for it in a schema file."""
        return list(self.categories)

    def features(self, name: str) -> list[str]:
        """Name what a column of this name becomes."""
        return [f"{name}={category}" for category in self.categories]

    def takes(self, values: pd.Series) -> pd.Series:
        """Tell which values are among the categories."""
        return values.isin(self.categories)


Column = Numeric | Categorical


def read_schema(path: Path) -> dict[str, Column]:
    """Read a schema file. Raises: InputError, naming the entry that is wrong."""
    try:
        entries = json.loads(path.read_text(encoding="utf-8-sig"), object_pairs_hook=_once)
    except OSError as error:
        raise InputError(f"cannot read schema {str(path)!r}: {error.strerror}; check the path") from error
    except InputError:
        raise
    except (ValueError, RecursionError) as error:
        raise InputError(f"schema {str(path)!r} is not JSON: {error}; correct it") from error
    if not isinstance(entries, dict):
        raise InputError(f"schema {str(path)!r} must be one JSON object: column name to [low, high] or list of texts")
    return {name: _column(name, entry) for name, entry in entries.items()}


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Make an object whose names differ. JSON's own reader takes the last of a name in silence."""
    entries = dict(pairs)
    if len(entries) < len(pairs):
        twice = next(name for name, _ in pairs if sum(name == other for other, _ in pairs) > 1)
        raise InputError(f"schema entry {twice!r} is there more than once; leave one of them")
    return entries


def _column(name: str, entry: object) -> Column:
    try:
        if isinstance(entry, list) and entry and all(isinstance(item, str) for item in entry):
            return Categorical(tuple(entry))
        if isinstance(entry, list) and len(entry) == 2 and all(type(item) in (int, float) for item in entry):
            return Numeric(float(entry[0]), float(entry[1]))
    except InputError as error:
        raise InputError(f"schema entry {name!r}: {error}") from error
    except OverflowError as error:
        raise InputError(f"schema entry {name!r} has a bound that no float holds; give smaller ones") from error
    raise InputError(f"schema entry {name!r} is {reprlib.repr(entry)}; give [low, high] or a list of texts")


def from_rows(values: pd.Series) -> Column | None:
    """Choose a column's constants from its own rows; None for a column that never varies.

    Ranges are the 1st and 99th percentile, so that one outlier does not flatten the rest.
    """
    if values.dtype == object:
        categories = sorted(values.dropna().unique())
        return Categorical(tuple(categories)) if len(categories) > 1 else None
    present = values.to_numpy()
    present = present[~np.isnan(present)]
    if not present.size or present.min() == present.max():
        return None
    low, high = (float(bound) for bound in np.percentile(present, [1, 99]))
    return Numeric(low, high) if low < high else Numeric(float(present.min()), float(present.max()))
