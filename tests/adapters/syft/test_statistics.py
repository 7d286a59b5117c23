"""Every statistic at once over five owners' tables: the results are those of the pooled table."""

import numpy as np
import pytest
from scipy.stats import ttest_ind

from secagg.stats import (
    Category,
    Compare,
    Count,
    Covariance,
    Crosstab,
    Histogram,
    Mean,
    Number,
    Quantile,
    Query,
    Sum,
    Variance,
)

QUERY = Query(
    columns={
        "age": Number(0, 120, 0),
        "chol": Number(0, 600, 1),
        "sex": Category(("f", "m")),
        "smoker": Category(("no", "yes")),
    },
    rows=100,
    minimum_cell=5,
    statistics=(
        Count("sex"),
        Sum("age"),
        Mean("age", "sex"),
        Variance("chol"),
        Histogram("chol", 50),
        Crosstab("sex", "smoker"),
        Covariance(("age", "chol")),
        Quantile("age", (0.5,)),
        Compare("chol", "smoker"),
    ),
)
