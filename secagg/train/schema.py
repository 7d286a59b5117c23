"""Public constants of each column: the range of a number, the categories of a text.

A schema file is JSON, one entry per column, agreed before anyone looks at the data:

    {"age": [18, 95], "sex": ["female", "male"], "creatinine": [0.2, 12]}

Two numbers are a range; texts are categories. Constants that are computed from the rows instead tell everyone
something about those rows that no ε covers, which is why `from_rows` is reported as a warning.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from secagg_protocols.errors import InputError

MAX_CATEGORIES = 50


@dataclass(frozen=True)
class Numeric:
    """A number between two public bounds; values beyond them count as the bound."""

    low: float
    high: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            raise InputError(f"range [{self.low}, {self.high}] must be two finite numbers, the lower one first")


@dataclass(frozen=True)
class Categorical:
    """A text that takes one of these values; any other, and a missing one, is encoded as none of them."""

    categories: tuple[str, ...]

    def __post_init__(self) -> None:
        if not 1 <= len(self.categories) <= MAX_CATEGORIES or len(set(self.categories)) < len(self.categories):
            raise InputError(f"{len(self.categories)} categories: give 1 to {MAX_CATEGORIES} different ones")


Column = Numeric | Categorical


def scale(values: NDArray[np.float64], column: Numeric) -> NDArray[np.float64]:
    """Map [low, high] to [-1, 1]. A missing value (NaN) becomes 0, the middle: a constant, not a statistic."""
    scaled = 2 * (values - column.low) / (column.high - column.low) - 1
    return np.where(np.isnan(scaled), 0.0, np.clip(scaled, -1.0, 1.0))


def one_hot(values: list[str | None], column: Categorical) -> NDArray[np.float64]:
    """Return (rows, categories) of 0 and 1; a row of zeros where the value is missing or unknown."""
    return np.array([[float(value == category) for category in column.categories] for value in values])


def read_schema(path: Path) -> dict[str, Column]:
    """Read a schema file. Raises: InputError, naming the entry that is wrong."""
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"cannot read schema {str(path)!r}: {error.strerror}; check the path") from error
    except ValueError as error:
        raise InputError(f"schema {str(path)!r} is not JSON: {error}") from error
    if not isinstance(entries, dict):
        raise InputError(f"schema {str(path)!r} must be one JSON object: column name to [low, high] or list of texts")
    return {name: _column(name, entry) for name, entry in entries.items()}


def _column(name: str, entry: object) -> Column:
    try:
        if isinstance(entry, list) and entry and all(isinstance(item, str) for item in entry):
            return Categorical(tuple(entry))
        if isinstance(entry, list) and len(entry) == 2 and all(type(item) in (int, float) for item in entry):
            return Numeric(float(entry[0]), float(entry[1]))
    except InputError as error:
        raise InputError(f"schema entry {name!r}: {error}") from error
    raise InputError(f"schema entry {name!r} is {entry!r}; give [low, high] or a list of texts")


def from_rows(name: str, texts: list[str | None], numbers: NDArray[np.float64] | None) -> Column | None:
    """Choose a column's constants from its own rows; None for a column that never varies.

    Ranges are the 1st and 99th percentile, so that one outlier does not flatten the rest.
    """
    if numbers is not None:
        present = numbers[~np.isnan(numbers)]
        if present.size == 0 or present.min() == present.max():
            return None
        low, high = (float(bound) for bound in np.percentile(present, [1, 99]))
        return Numeric(low, high) if low < high else Numeric(float(present.min()), float(present.max()))
    categories = sorted({text for text in texts if text is not None})
    if len(categories) > MAX_CATEGORIES:
        raise InputError(
            f"column {name!r} has {len(categories)} different texts such as {categories[0]!r}; "
            f"leave it out (ignore) or list up to {MAX_CATEGORIES} categories in a schema"
        )
    return Categorical(tuple(categories)) if len(categories) > 1 else None
