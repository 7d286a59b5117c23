"""What a person should look at before trusting a model of this table: one sentence of each kind, on all columns."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from secagg.train.schema import Column, Numeric
from secagg_protocols.errors import InputError

from .columns import LEAST_ROWS
from .names import cut, few, options, quoted
from .reading import NAMELESS

Values = Mapping[str, pd.Series]
"""Column name to its values, as `read_columns` gives them."""


def turned_away(values: Values, known: Mapping[str, Column]) -> list[str]:
    """Warn of values that the schema does not take. Raises: InputError where those are all values of a column."""
    shares = {name: _share_beyond(values[name], known[name]) for name in values if name in known}
    lost = [f"{cut(name)} ({_contrast(values[name], known[name])})" for name, share in shares.items() if share == 1]
    if lost:
        raise InputError(
            f"the schema takes no value of {few(lost)}: units or names differ; correct the schema or the table"
        )
    beyond = [f"{cut(name)} {share:.1%}" for name, share in shares.items() if share > 0]
    if not beyond:
        return []
    return [
        f"The schema does not take all values of {len(beyond)} column(s) ({few(beyond)}): such numbers count as the "
        "nearest bound, such texts as none of the categories. Check units and spelling."
    ]


def _share_beyond(values: pd.Series, column: Column) -> float:
    present = values.dropna()
    return 1 - float(column.takes(present).mean()) if len(present) else 0.0


def _contrast(values: pd.Series, column: Column) -> str:
    kind = "range" if isinstance(column, Numeric) else "categories"
    return f"such as {cut(str(values.dropna().iloc[0]))}; its {kind}: {quoted(map(str, column.listed))}"


def numbered_rows(values: Values, sites: tuple[str, ...] | None) -> list[str]:
    """Warn of columns that may number the rows: of whole numbers that all differ (in each file), or without a name."""
    named = [name for name in values if name.startswith(NAMELESS) or _all_different(values[name], sites)]
    if not named:
        return []
    shown = quoted(named)
    return [
        f"{len(named)} column(s) ({shown}) may be row numbers or ids: without a name, or whole numbers that are all "
        f"different. A model can learn the order of the rows from them; leave them out ({options('--ignore', named)})."
    ]


def _all_different(column: pd.Series, sites: tuple[str, ...] | None) -> bool:
    """Tell whether a column is of whole numbers, each once in each file."""
    if column.dtype == object:
        return False
    there = ~np.isnan(column.to_numpy())
    present = column.to_numpy()[there]
    if len(present) < LEAST_ROWS or (present % 1).any():
        return False
    files = np.zeros(len(column)) if sites is None else pd.factorize(np.array(sites))[0]
    return not pd.DataFrame({"file": files[there], "value": present}).duplicated().any()


def spelled_apart(texts: Values) -> list[str]:
    """Warn of texts that differ in capitals or spaces alone: they count as different, which is seldom meant."""
    found = {name: _apart(column) for name, column in texts.items() if column.dtype == object}
    shown = [f"{cut(name)} ({quoted(pair)})" for name, pair in found.items() if pair]
    if not shown:
        return []
    return [
        f"Texts that differ in capitals or spaces alone count as different ones: {few(shown)}. Spell them alike, "
        "if they mean the same."
    ]


def _apart(column: pd.Series) -> list[str]:
    """Return the texts of a column that are another one in other capitals or spaces, those beside each other."""
    distinct = pd.Series(sorted(column.dropna().unique()), dtype=object)
    plain = distinct.str.normalize("NFKC").str.casefold().str.split().str.join(" ").sort_values(kind="stable")
    return list(distinct[plain.index[plain.duplicated(keep=False)]])


def computed_from_rows(names: list[str]) -> list[str]:
    """Warn of columns whose constants nobody had agreed on before."""
    if not names:
        return []
    return [
        f"Ranges or categories of {len(names)} column(s) ({quoted(names)}) were computed from the rows of all sites "
        "together, which a real federation could not do and no ε covers; agree on a schema file instead (--schema)."
    ]


def missing_cells(values: Values) -> list[str]:
    """Say what became of missing cells."""
    counts = {name: int(column.isna().sum()) for name, column in values.items()}
    found = [f"{cut(name)} {count}" for name, count in counts.items() if count]
    if not found:
        return []
    return [f"Missing values ({few(found)}) count as the middle of the range, or as none of the categories."]
