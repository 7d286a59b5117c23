"""Columns become features in [-1, 1], by public constants alone.

scikit-learn's transformers are fitted to the constants (a range's two bounds, the categories), never to a row.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import groupby

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder

from secagg.train.schema import Categorical, Column, Numeric


def encode(values: pd.DataFrame, columns: Mapping[str, Column]) -> NDArray[np.float64]:
    """Scale numbers by their ranges and make each category a feature of 0 and 1.

    A value beyond its range counts as the bound, a missing number as the middle of the range, and a text that is
    missing or no category as none of them.
    """
    runs = [(kind, list(names)) for kind, names in groupby(columns, key=lambda name: type(columns[name]))]
    encoder = ColumnTransformer(
        [
            (str(place), _scaler() if kind is Numeric else _one_hot([columns[name] for name in names]), names)
            for place, (kind, names) in enumerate(runs)
        ],
        sparse_threshold=0,
    )
    encoder.fit(pd.DataFrame({name: column.ends for name, column in columns.items()}))
    matrix: NDArray[np.float64] = encoder.transform(values)
    return matrix


def _scaler() -> Pipeline:
    return make_pipeline(
        MinMaxScaler(feature_range=(-1, 1), clip=True),
        SimpleImputer(strategy="constant", fill_value=0.0),
    )


def _one_hot(columns: list[Column]) -> OneHotEncoder:
    listed = [list(column.categories) for column in columns if isinstance(column, Categorical)]
    return OneHotEncoder(categories=listed, handle_unknown="ignore", sparse_output=False)
