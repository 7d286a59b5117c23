"""Public bounds of a column: what makes its values integers, before anybody looks at a row.

A number between `low` and `high` with `decimals` decimals becomes the integer round(value · 10^decimals), its *units*;
a category becomes its place in the list. So a sum of units is exact, and how large it can be is known beforehand.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray

from secagg_protocols.errors import InputError, ParameterError

MAX_CATEGORIES = 50
MAX_DECIMALS = 12
SQUARES_BITS = 50
"""Room that one site's sum of squares has where decimals are chosen: 63 − 50 bits are left for the number of sites."""
WISHED_DECIMALS = 6
"""More are never chosen: clinical numbers have fewer."""

MISSING = -1
"""Code of a cell that is missing, or holds none of the categories."""


class Column(msgspec.Struct, frozen=True, tag_field="column", forbid_unknown_fields=True):
    """What is public about one column."""

    def settled(self, rows: int) -> Column:
        """Return the column with everything said that was left to be chosen. rows: the most that a site has."""
        return self

    def read(self, name: str, cells: ArrayLike) -> tuple[NDArray[np.int64], NDArray[np.bool_], int]:
        """Return the integers of a site's cells, which of them are there, and how many were out of bounds.

        Raises: InputError, for the site alone to read.
        """
        raise NotImplementedError


class Number(Column, frozen=True, tag="number"):
    """A number between two public bounds; beyond them it counts as the bound. decimals: those kept; None: chosen."""

    low: float
    high: float
    decimals: int | None = None

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            raise ParameterError(f"bounds {self.low} and {self.high} must be two finite numbers, the lower one first")
        if not 10.0**-MAX_DECIMALS <= self.high - self.low < math.inf:
            raise ParameterError(f"bounds {self.low} and {self.high} are too near or too far apart to be summed")
        for name in ("low", "high"):  # so that equal bounds are equal bytes
            msgspec.structs.force_setattr(self, name, float(getattr(self, name)))
        if self.decimals is None:
            return
        if not -MAX_DECIMALS <= self.decimals <= MAX_DECIMALS:
            raise ParameterError(f"decimals={self.decimals} is not between -{MAX_DECIMALS} and {MAX_DECIMALS}")
        if max(abs(self.low), abs(self.high)) * self.scale >= 2**52:
            raise ParameterError(f"{self.decimals} decimals of a number up to {self.high} are too many: give fewer")
        if self.low_units == self.high_units:
            raise ParameterError(f"{self.decimals} decimals are too few to tell {self.low} from {self.high}: give more")

    def settled(self, rows: int) -> Number:
        """Choose as many decimals as leave room for the sum of `rows` squares, at most six."""
        if self.decimals is not None:
            return self
        half = (self.high - self.low) / 2
        fitting = (SQUARES_BITS - math.log2(rows)) / 2 * math.log10(2) - math.log10(half)
        largest = 15 - math.ceil(math.log10(max(abs(self.low), abs(self.high))))
        chosen = min(WISHED_DECIMALS, math.floor(fitting), largest)
        if chosen < -MAX_DECIMALS:
            raise ParameterError(f"bounds {self.low:g} and {self.high:g} are too wide to be summed: give narrower ones")
        return Number(self.low, self.high, chosen)

    @property
    def scale(self) -> float:
        """Units in 1."""
        return float(10.0**self._decimals)

    @property
    def low_units(self) -> int:
        """The lower bound in units."""
        return round(self.low * self.scale)

    @property
    def high_units(self) -> int:
        """The upper bound in units."""
        return round(self.high * self.scale)

    @property
    def middle(self) -> int:
        """The middle of the range, in units: squares around it are the smallest."""
        return (self.low_units + self.high_units) // 2

    @property
    def half(self) -> int:
        """The most units that a value is away from the middle."""
        return self.high_units - self.middle

    @property
    def _decimals(self) -> int:
        assert self.decimals is not None  # a query settles its columns
        return self.decimals

    def read(self, name: str, cells: ArrayLike) -> tuple[NDArray[np.int64], NDArray[np.bool_], int]:
        """Round to units and clip. A missing cell is NaN, and 0 in the integers."""
        try:
            values = np.asarray(cells, dtype=np.float64)
        except (TypeError, ValueError):
            text = f"column {name!r} holds no numbers, and the query gives it bounds: correct one of the two"
            raise InputError(text) from None
        if np.isinf(values).any():
            raise InputError(f"column {name!r} holds infinite numbers: correct the cells, or leave them empty")
        there = ~np.isnan(values)
        inside = np.clip(np.where(there, values, self.low), self.low, self.high)
        units = np.rint(inside * self.scale).astype(np.int64)
        beyond = int(((values < self.low) | (values > self.high)).sum())
        return np.where(there, units, 0), there, beyond


class Category(Column, frozen=True, tag="category"):
    """One of some texts. Where all of them are numbers, cells are compared as numbers: '1' and '1.0' are one."""

    values: tuple[str, ...]

    def __post_init__(self) -> None:
        if not 1 <= len(self.values) <= MAX_CATEGORIES or len(set(self.values)) < len(self.values):
            raise ParameterError(f"{len(self.values)} categories: give 1 to {MAX_CATEGORIES} different ones")
        numbers = self._numbers
        if numbers is not None and len(set(numbers)) < len(numbers):
            raise ParameterError(f"categories {', '.join(self.values)} hold one number twice: list each once")

    @property
    def _numbers(self) -> list[float] | None:
        try:
            return [float(value) for value in self.values]
        except ValueError:
            return None

    def read(self, name: str, cells: ArrayLike) -> tuple[NDArray[np.int64], NDArray[np.bool_], int]:
        """Return each cell's place in the list; `MISSING` for one that is missing or none of them."""
        held = np.asarray(cells, dtype=object)
        absent = np.array([cell is None or cell != cell for cell in held], dtype=bool)
        numbers = self._numbers
        listed: Mapping[object, int] = {value: place for place, value in enumerate(numbers or self.values)}
        codes = [MISSING if out else listed.get(_key(cell, numbers is not None), MISSING)
                 for cell, out in zip(held, absent, strict=True)]  # fmt: skip
        found = np.array(codes, dtype=np.int64)
        there = found != MISSING
        return found, there, int((~there & ~absent).sum())


def _key(cell: object, number: bool) -> object:
    if not number:
        return str(cell)
    try:
        return float(cell)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return cell
