"""What is public about every site's table before anything is summed: a query says it, each statistic reads it."""

from __future__ import annotations

import msgspec

from secagg_protocols.errors import ParameterError

from .columns import Category, Number


class Domain(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """columns: name → bounds. rows: the most that one site has. minimum_cell: a cell with fewer rows is not shown."""

    columns: dict[str, Number | Category]
    rows: int
    minimum_cell: int = 5

    def number(self, name: str) -> Number:
        """Return a column of numbers. Raises `ParameterError` where it is none."""
        column = self._column(name)
        if not isinstance(column, Number):
            raise ParameterError(f"column {name!r} is one of categories: numbers with bounds are needed here")
        return column

    def category(self, name: str) -> Category:
        """Return a column of categories. Raises `ParameterError` where it is none."""
        column = self._column(name)
        if not isinstance(column, Category):
            raise ParameterError(f"column {name!r} is one of numbers: categories are needed here")
        return column

    def groups(self, by: str | None) -> tuple[str, ...]:
        """Return the groups that a column makes; one without a name where there is none."""
        return ("",) if by is None else self.category(by).values

    def decimals(self, name: str) -> int:
        """Return how many decimals of a column of numbers are kept."""
        decimals = self.number(name).decimals
        assert decimals is not None  # a query settles its columns
        return decimals

    def _column(self, name: str) -> Number | Category:
        if name not in self.columns:
            raise ParameterError(f"column {name!r} has no bounds in the query: say its range or its categories")
        return self.columns[name]
