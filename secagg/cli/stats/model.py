"""Covariates of a model as they are typed: which columns are numbers, and which are categories."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated

import typer

from secagg.stats import Category, Number
from secagg.stats.asking import Said, refuse_unknown
from secagg.train.schema import Categorical
from secagg.train.setting import Option
from secagg_protocols.errors import InputError

from .columns import number

if TYPE_CHECKING:
    import pandas as pd

    from secagg.train.schema import Column
    from secagg.train.table.reading import Table

    Schema = Mapping[str, Column]

EITHER = Category(("0", "1"))


@dataclass(frozen=True, kw_only=True)
class Covariates:
    """What is said of columns that a model reads."""

    range: Annotated[
        tuple[str, ...], Option("A column's public range and decimals; repeatable.", "COLUMN:LOW:HIGH[:DECIMALS]")
    ] = ()
    category: Annotated[
        tuple[str, ...], Option("A column whose numbers are categories; repeatable.", metavar="COLUMN")
    ] = ()

    def note_ranges(self, names: Collection[str], said: Said) -> None:
        """Note what is said here of columns that a model reads."""
        for text in self.range:
            _refuse_other(number(text, said, "--range"), names, "--range")
        for name in self.category:
            _refuse_other(name, names, "--category")
            said.category(name)

    def note(self, names: Iterable[str], said: Said, schema: Schema, table: Table | None, decimal: str) -> None:
        """Note all other covariates as the schema has them, or by what their cells hold."""
        for name in names:
            if name in said.numbers or name in said.categories:
                continue
            if table is not None:
                refuse_unknown([name], table)
            known = schema.get(name)
            if isinstance(known, Categorical) or (
                known is None and table is not None and cells_of(name, table, decimal).dtype == object
            ):
                said.category(name)
            else:
                said.number(name)


def note_outcome(name: str, family: str, said: Said, schema: Schema, table: Table | None, decimal: str) -> None:
    """Note the column that a model explains."""
    if name in said.numbers or name in said.categories:
        return
    if table is not None:
        refuse_unknown([name], table)
    if family == "logistic":
        said.category(name, None if isinstance(schema.get(name), Categorical) or table is not None else EITHER)
    elif family == "poisson" and table is not None and name not in schema:
        counts = cells_of(name, table, decimal)
        if counts.dtype == object or not counts.max() > 0 or counts.min() < 0:
            raise InputError(
                f"outcome {name!r} of a poisson model must hold counts, none below 0 and some above: name another"
            )
        said.number(name, Number(0, float(counts.max())))
    else:
        said.number(name)


def note_exposure(name: str, said: Said, schema: Schema, table: Table | None, decimal: str) -> None:
    """Note the column that a Poisson outcome is in proportion to: its range must not reach down to 0."""
    if table is not None:
        refuse_unknown([name], table)
    if name in said.numbers or name in schema or table is None:
        said.number(name)
        return
    lengths = cells_of(name, table, decimal)
    if lengths.dtype == object or not lengths.min() > 0:
        raise InputError(f"exposure {name!r} must hold numbers above 0, and does not: name another column (--exposure)")
    said.number(name, Number(float(lengths.min()), float(lengths.max()) + 1))


def cells_of(name: str, table: Table, decimal: str) -> pd.Series:
    """Return a column's numbers, or its texts."""
    from secagg.train.table.columns import read_columns

    return read_columns(replace(table, cells=table.cells[[name]]), decimal, {}, asked=True)[name]


def _refuse_other(name: str, names: Collection[str], option: str) -> None:
    if name not in names:
        raise typer.BadParameter(f"{name!r} is no column of the model", param_hint=option)
