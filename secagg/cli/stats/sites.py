"""Where the rows of a simulation come from, and which site has which."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer

from secagg.extras import needed
from secagg.train.data import DEFAULT_INSTITUTIONS, Decimal, Missing, Separator
from secagg.train.setting import AtLeast, AtMost, Option
from secagg_protocols.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

    from secagg.stats.domain import Domain
    from secagg.train.schema import Column
    from secagg.train.table.reading import Table


LEAST_SITES = 3
"""Sites that a secure sum is over at least."""


@dataclass(frozen=True, kw_only=True)
class Sites:
    """Tables as CSV files. Rows without a site are dealt out in turn."""

    csv: Annotated[tuple[str, ...], Option("The table, or one for each site; repeatable.", "[NAME=]FILE")] = ()
    site_column: Annotated[str | None, Option("Its column that names the site.", metavar="COLUMN")] = None
    institutions: Annotated[
        int | None,
        AtLeast(LEAST_SITES),
        AtMost(1000),
        Option(f"Sites that the rows are dealt to, where none is named; by default {DEFAULT_INSTITUTIONS}."),
    ] = None
    schema: Annotated[Path | None, Option("JSON file with each column's agreed range or categories.")] = None
    separator: Separator = None
    decimal: Decimal = "."
    missing: Missing = ()

    def __post_init__(self) -> None:
        named = [self.site_column is not None, self.institutions is not None, len(self.csv) > 1]
        if sum(named) > 1:
            raise typer.BadParameter(
                "--site-column, --institutions and several --csv each say which sites there are; give one of them"
            )

    def read(self) -> Table | None:
        """Return all rows; None where no file is named. Raises: InputError."""
        if not self.csv:
            return None
        with needed("stats"):
            from secagg.train.table.reading import read_tables
        return read_tables(self.csv, self.separator, self.missing)

    def read_schema(self) -> dict[str, Column]:
        """Return what the schema says of columns. Raises: InputError."""
        if self.schema is None:
            return {}
        from secagg.train.schema import read_schema

        return read_schema(self.schema)

    def split(self, table: Table, query: Domain) -> dict[str, pd.DataFrame]:
        """Return each site's rows of the columns that a query reads. Raises: InputError."""
        from secagg.stats.rows import in_columns

        names = np.array(self._names(table), dtype=object)
        columns = in_columns(table, query, self.decimal)
        found = {str(name): columns[names == name] for name in dict.fromkeys(names)}
        if len(found) < LEAST_SITES:
            raise InputError(f"{table.name} has rows of {len(found)} site(s), and a secure sum is over three or more")
        return found

    def _names(self, table: Table) -> list[str]:
        """Return the site of each row."""
        if self.site_column is None:
            many = self.institutions or DEFAULT_INSTITUTIONS
            if self.institutions is not None and self.institutions > len(table.cells):
                raise InputError(
                    f"--institutions {many} of {table.name}, which has {len(table.cells)} rows: give fewer"
                )
            return list(table.sites or (f"site {row % many + 1}" for row in range(len(table.cells))))
        from secagg.stats.asking import refuse_unknown

        refuse_unknown([self.site_column], table)
        cells = table.cells[self.site_column]
        if absent := np.flatnonzero(cells.isna()).tolist():
            raise InputError(
                f"site column {self.site_column!r} is missing in {len(absent)} row(s) ({table.where(absent)}): "
                "name the site or remove the row"
            )
        return cells.tolist()
