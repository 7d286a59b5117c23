"""The data, as it was asked for and as the trainer sees it: a finite matrix, two classes, and the public constants
that scaled it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from secagg_protocols.errors import InputError, ParameterError

from .schema import Column, Numeric, scale
from .setting import AtLeast, BelowOne, Option, Positive, Setting, check

DEFAULT_INSTITUTIONS = 10

BREAST_CANCER_ROWS = 569
"""Published with the data set, so not a secret of any silo."""


@dataclass(frozen=True, kw_only=True)
class Data:
    """Where the rows come from, and how they are split. Rows without a site column are dealt by Dirichlet draws."""

    csv: Annotated[Path | None, Option("Your table; without one, a breast-cancer data set.")] = None
    target: Annotated[str | None, Option("Its column with two classes.", metavar="COLUMN")] = None
    site_column: Annotated[str | None, Option("Its column that names the institution.", metavar="COLUMN")] = None
    schema: Annotated[Path | None, Option("JSON file with each column's agreed range or categories.")] = None
    ignore: Annotated[tuple[str, ...], Option("Leave this out; repeatable.", metavar="COLUMN")] = ()
    institutions: Annotated[int | None, AtLeast(3), Option("How many, without a site column; by default 10.")] = None
    label_alpha: Annotated[
        float, Positive(), Setting("concentration of labels within an institution; smaller is more skewed")
    ] = 0.5
    size_alpha: Annotated[
        float, Positive(), Setting("concentration of the institutions' sizes; smaller is more unequal")
    ] = 2.0
    test_fraction: Annotated[float, BelowOne(), Option("Share of each institution's rows held out for testing.")] = 0.25

    def __post_init__(self) -> None:
        self._check_columns()
        if self.site_column is not None and self.institutions is not None:
            raise ParameterError(
                f"institutions = {self.institutions} and site_column = {self.site_column!r}: "
                "the site column already says how many there are; give one of the two"
            )
        check(self)

    def _check_columns(self) -> None:
        """Raise `ParameterError` unless a CSV file and what is said of its columns belong together."""
        if self.csv is None:
            for name in ("target", "site_column", "schema", "ignore"):
                if getattr(self, name):
                    raise ParameterError(f"{name} = {getattr(self, name)!r} needs a CSV file; give csv as well")
        elif self.target is None:
            raise ParameterError(f"csv = {str(self.csv)!r} needs a target: name its column with the two classes")
        if self.site_column is not None and self.site_column == self.target:
            raise ParameterError(f"column {self.target!r} is both target and site column; name two different columns")


@dataclass(frozen=True, eq=False)
class Dataset:
    """Rows of scaled features with a binary label.

    x            float64 (rows, features), every value finite, in [-1, 1]
    y            int64 (rows,), 0 or 1
    features     one name per column of x
    classes      the target's two values, as (0's, 1's)
    columns      the public constants that encoded each column of the table, in their order
    sites        one institution name per row; None when the data has none
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


def load_breast_cancer() -> Dataset:
    """Return scikit-learn's breast-cancer data, scaled by the ranges printed in its public description.

    Those ranges are documentation, not something computed from the silos, so scaling by them costs no privacy.
    """
    from sklearn.datasets import load_breast_cancer as load

    bunch = load()
    ranges = re.findall(r"^([a-z ]+ \((?:mean|standard error|worst)\)):\s+([\d.]+)\s+([\d.]+)$", bunch.DESCR, re.M)
    names = [str(name) for name in bunch.feature_names]
    if len(ranges) != len(names):
        raise InputError(
            f"this scikit-learn describes {len(ranges)} ranges for {len(names)} features; install another version"
        )
    columns = {name: Numeric(float(low), float(high)) for name, (_, low, high) in zip(names, ranges, strict=True)}
    return Dataset(
        name="breast-cancer (scikit-learn)",
        x=np.stack([scale(bunch.data[:, i], column) for i, column in enumerate(columns.values())], axis=1),
        y=(bunch.target == 0).astype(np.int64),
        features=tuple(names),
        classes=("benign", "malignant"),
        columns=columns,
        public_rows=BREAST_CANCER_ROWS,
        notes=("Features are scaled by the ranges printed in the data set's public description; no row is read.",),
    )
