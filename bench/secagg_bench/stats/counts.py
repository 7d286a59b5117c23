"""Counts, sums and comparisons beside pandas, numpy and scipy on the pooled rows."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from secagg.extras import needed
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
    Variance,
    simulate,
)

from ..privacy.rows import Row
from . import tables
from .survival import EQUAL, apart

AREA = Number(100, 2600, 1)
BINS = 25


def counts() -> Iterator[Row]:
    """Yield how far counts, sums and tests are from those of the pooled rows."""
    with needed("bench"):
        import pandas as pd
        from scipy import stats
    table = tables.tumours()
    rows = table.rows
    query = Query(
        columns={
            "mean_area": AREA,
            "mean_texture": Number(0, 60, 2),
            "kind": Category(("benign", "malignant")),
            "large": Category(("no", "yes")),
        },
        rows=table.most_rows,
        minimum_cell=0,
        statistics=(
            Count("kind"),
            Histogram("mean_area", BINS),
            Crosstab("kind", "large"),
            Mean("mean_area", "kind"),
            Variance("mean_area"),
            Covariance(("mean_area", "mean_texture")),
            Compare("mean_texture", "kind"),
            Quantile("mean_area"),
        ),
    )
    count, histogram, crosstab, mean, variance, covariance, compare, quantile = (
        result.plain() for result in simulate(query, table.sites).results
    )
    groups = [rows.loc[rows["kind"] == kind] for kind in ("benign", "malignant")]
    crossed = pd.crosstab(rows["kind"], rows["large"]).to_numpy()
    binned = np.histogram(rows["mean_area"], bins=np.array(histogram["edges"]))[0]
    shown = {
        "counts": (count["counts"], [len(group) for group in groups]),
        "histogram": (np.array(histogram["counts"]) + 1, binned + 1),
        "crosstab": (crosstab["counts"], crossed),
        "χ²": ([crosstab["chi_square"]["statistic"]], [stats.chi2_contingency(crossed, correction=False).statistic]),
        "means by group": ([row["mean"] for row in mean["rows"]], [group["mean_area"].mean() for group in groups]),
        "variance": ([variance["rows"][0]["variance"]], [rows["mean_area"].var()]),
        "covariances": (covariance["covariance"], rows[["mean_area", "mean_texture"]].cov()),
        "analysis of variance": (
            [compare["anova"]["f"]],
            [stats.f_oneway(*(group["mean_texture"] for group in groups)).statistic],
        ),
    }
    for what, (found, expected) in shown.items():
        yield Row(table.name, what, apart(found, expected), most=EQUAL)
    exact = np.quantile(rows["mean_area"], (0.25, 0.5, 0.75), method="inverted_cdf")
    outside = sum(
        not one["low"] <= value <= one["high"] for one, value in zip(quantile["quantiles"], exact, strict=True)
    )
    yield Row(table.name, "quantiles that are not in their bin", outside, most=0)
