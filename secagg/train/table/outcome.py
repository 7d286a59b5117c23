"""The column to predict: two classes, and which of them is the positive one."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from secagg_protocols.errors import InputError

from .columns import in_points
from .names import quoted
from .reading import Table


def labels_of(
    table: Table, target: str, positive: str | None, decimal: str
) -> tuple[NDArray[np.int64], tuple[str, str]]:
    """Return labels 0 and 1, and the names of the two classes; 1 is `positive`, or else the greater class.

    Where all classes are numbers they are compared as such: "1" and "1.0" are one class.
    Raises: InputError, one line with what is wrong in the column and where.
    """
    cells = table.cells[target]
    absent = np.flatnonzero(cells.isna()).tolist()
    if absent:
        raise InputError(f"target {target!r} is missing in {len(absent)} row(s) ({table.where(absent)}); remove them")
    values = _values(cells, decimal)
    classes = sorted(values.unique())
    names = [min(cells[values == one].unique(), key=len) for one in classes]
    if len(classes) != 2:
        raise InputError(
            f"target {target!r} has {len(classes)} class(es) ({quoted(names)}); exactly two are needed: choose or "
            "derive a yes/no column"
        )
    if positive is not None:
        meant = _values(pd.Series([*cells, positive], dtype=object), decimal).iloc[-1]
        if meant not in classes:
            raise InputError(f"target {target!r} has no class {positive!r}: --positive is one of {quoted(names)}")
        if meant == classes[0]:
            classes.reverse()
            names.reverse()
    return (values == classes[1]).to_numpy(dtype=np.int64), (names[0], names[1])


def _values(cells: pd.Series, decimal: str) -> pd.Series:
    """Return the cells as numbers where all are, and as they stand otherwise."""
    try:
        return in_points(cells, decimal).astype("float64")
    except ValueError:
        return cells
