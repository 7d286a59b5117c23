"""The data, as it was asked for and as the trainer sees it: a finite matrix, two classes, and the public constants
that scaled it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray

from secagg_protocols.errors import InputError, ParameterError

from .schema import Column
from .setting import AtLeast, AtMost, BelowOne, Called, Option, Positive, Setting, check

DEFAULT_INSTITUTIONS = 10

Ignored = Annotated[tuple[str, ...], Option("Leave this out; repeatable.", metavar="COLUMN")]
Separator = Annotated[
    str | None, Option("What stands between cells; by default found out of , ; | and tab.", metavar="CHARACTER")
]
Decimal = Annotated[Literal[".", ","], Option("What stands before the decimals of a number.")]
Missing = Annotated[
    tuple[str, ...],
    Option("A cell that says this is missing, as are empty ones, ? and NA; repeatable.", metavar="TEXT"),
]

OF_A_TABLE = (
    "target", "positive", "site_column", "patient_column", "schema", "ignore", "separator", "decimal", "missing",
)  # fmt: skip
"""Settings that say how a table is to be read, and nothing without one."""


@dataclass(frozen=True, kw_only=True)
class Data:
    """Where the rows come from, and how they are split. Rows without a site column are dealt by Dirichlet draws."""

    csv: Annotated[
        tuple[str, ...],
        Option("Your table, or one for each institution; without any, --dataset.", "[NAME=]FILE"),
    ] = ()
    dataset: Annotated[
        Literal["breast-cancer", "digits"] | None,
        Option("Without --csv: a data set that scikit-learn brings; by default breast-cancer."),
    ] = None
    target: Annotated[str | None, Option("Its column with two classes.", metavar="COLUMN")] = None
    positive: Annotated[str | None, Option("The class to predict; by default the greater one.", metavar="CLASS")] = None
    site_column: Annotated[str | None, Option("Its column that names the institution.", metavar="COLUMN")] = None
    patient_column: Annotated[
        str | None,
        Option("Its column that tells patients apart: none is both trained and tested on.", metavar="COLUMN"),
    ] = None
    schema: Annotated[Path | None, Option("JSON file with each column's agreed range or categories.")] = None
    ignore: Ignored = ()
    separator: Separator = None
    decimal: Decimal = "."
    missing: Missing = ()
    institutions: Annotated[
        int | None,
        AtLeast(3),
        AtMost(100_000),
        Option("How many, without a site column; by default 10."),
        Called(("participants",)),
    ] = None
    label_alpha: Annotated[
        float, Positive(), Setting("concentration of labels within an institution; smaller is more skewed")
    ] = 0.5
    size_alpha: Annotated[
        float, Positive(), Setting("concentration of the institutions' sizes; smaller is more unequal")
    ] = 2.0
    test_fraction: Annotated[float, BelowOne(), Option("Share of each institution's rows held out for testing.")] = 0.25

    def __post_init__(self) -> None:
        if isinstance(self.csv, str | Path):  # one file, as a program may give it
            object.__setattr__(self, "csv", (str(self.csv),))
        self._check_columns()
        self._check_sites()
        check(self)

    def _check_columns(self) -> None:
        """Raise `ParameterError` unless a CSV file and what is said of its columns belong together."""
        if not self.csv:
            for name in OF_A_TABLE:
                value = getattr(self, name)
                if value != getattr(type(self), name):
                    shown = str(value) if isinstance(value, Path) else value
                    raise ParameterError(f"{name} = {shown!r} needs a CSV file; give csv as well")
        elif self.dataset is not None:
            raise ParameterError(
                f"csv = {self.csv[0]!r} and dataset = {self.dataset}: each says which rows there are; give one of the "
                "two"
            )
        elif self.target is None:
            raise ParameterError(f"csv = {self.csv[0]!r} needs a target: give target, its column with the two classes")
        roles = {"target": self.target, "site column": self.site_column, "patient column": self.patient_column}
        used = {role: column for role, column in roles.items() if column is not None}
        for (role, column), (other, same) in combinations(used.items(), 2):
            if column == same:
                raise ParameterError(f"column {column!r} is both {role} and {other}; name two different columns")
        for role, column in used.items():
            if column in self.ignore:
                raise ParameterError(f"column {column!r} is {role} and to be left out (ignore); choose one of the two")

    def _check_sites(self) -> None:
        """Raise `ParameterError` where two settings each say how many institutions there are."""
        said = {"institutions": self.institutions, "site_column": self.site_column}
        given = [f"{name} = {value!r}" for name, value in said.items() if value is not None]
        given += ["several files"] if len(self.csv) > 1 else []
        if len(given) > 1:
            raise ParameterError(f"{' and '.join(given)}: each says which sites there are; give one of the two")


@dataclass(frozen=True, eq=False)
class Dataset:
    """Rows of scaled features with a binary label.

    x            float64 (rows, features), every value finite, in [-1, 1]
    y            int64 (rows,), 0 or 1
    features     one name per column of x
    classes      the target's two values, as (0's, 1's)
    columns      the public constants that encoded each column of the table, in their order
    sites        one institution name per row; None when the data has none
    patients     int64 (rows,), which patient a row is of, numbered from 0; None when the data does not say
    public_rows  number of rows, when that is public knowledge; None otherwise
    notes        what was done to the columns, for the report
    warnings     what leaks or was guessed, for the report
    """

    name: str
    x: NDArray[np.float64] = field(repr=False)
    y: NDArray[np.int64] = field(repr=False)
    features: tuple[str, ...]
    classes: tuple[str, str]
    sites: tuple[str, ...] | None = None
    patients: NDArray[np.int64] | None = field(default=None, repr=False)
    columns: Mapping[str, Column] = field(default_factory=dict, repr=False)
    public_rows: int | None = None
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.x.ndim != 2 or self.x.shape[0] != len(self.y) or self.x.shape[1] != len(self.features):
            raise InputError(
                f"features of shape {self.x.shape} do not fit {len(self.y)} labels and {len(self.features)} names"
            )
        if not self.features:
            raise InputError(f"{self.name} has no usable feature column; bring at least one that varies")
        finite = np.isfinite(self.x)
        if not finite.all():
            row, column = np.argwhere(~finite)[0]
            raise InputError(
                f"feature {self.features[column]!r} is {self.x[row, column]} in row {row + 1}; impute or remove it"
            )
        if set(np.unique(self.y)) != {0, 1}:
            raise InputError(f"labels of {self.name} are {np.unique(self.y).tolist()}; both 0 and 1 are needed")

    @property
    def rows_per_patient(self) -> NDArray[np.int64] | None:
        """How many rows each patient has, by number; None when the data does not say whose they are."""
        return None if self.patients is None else np.bincount(self.patients)
