"""Data sets that scikit-learn brings, scaled by what their public descriptions say and not by their rows."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

import numpy as np

from secagg_protocols.errors import InputError

from .data import Dataset
from .schema import Numeric

BREAST_CANCER_ROWS = 569
DIGITS_ROWS = 1797
"""Published with the data sets, so not a secret of any silo."""

DARKEST = 16
"""What the description of the digits says of a pixel, at the most."""

SCALED = "Features are scaled by the ranges printed in the data set's public description; no row is read."


def load_breast_cancer() -> Dataset:
    """Return 30 measurements of tumour cells: which tumours are malignant?"""
    import pandas as pd
    from sklearn.datasets import load_breast_cancer as load

    from .table.encoding import encode

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
        x=encode(pd.DataFrame(bunch.data, columns=names), columns),
        y=(bunch.target == 0).astype(np.int64),
        features=tuple(names),
        classes=("benign", "malignant"),
        columns=columns,
        public_rows=BREAST_CANCER_ROWS,
        notes=(SCALED,),
    )


def load_digits() -> Dataset:
    """Return handwritten digits of 8 × 8 pixels: which of them are odd?"""
    import pandas as pd
    from sklearn.datasets import load_digits as load

    from .table.encoding import encode

    bunch = load()
    names = [str(name) for name in bunch.feature_names]
    columns = {name: Numeric(0.0, float(DARKEST)) for name in names}
    return Dataset(
        name="digits, odd against even (scikit-learn)",
        x=encode(pd.DataFrame(bunch.data, columns=names), columns),
        y=(bunch.target % 2).astype(np.int64),
        features=tuple(names),
        classes=("even", "odd"),
        columns=columns,
        public_rows=DIGITS_ROWS,
        notes=(SCALED,),
    )


BUILT_IN: Mapping[str, Callable[[], Dataset]] = {"breast-cancer": load_breast_cancer, "digits": load_digits}
