"""Regression, principal components and meta-analysis beside statsmodels and scikit-learn on the pooled rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal

import numpy as np

from secagg.extras import needed
from secagg.stats import Category, Glm, Meta, Number, Pca, Query, simulate

from ..privacy.rows import Row
from . import tables
from .survival import CLOSE, apart
from .tables import Tabled

EITHER = Category(("no", "yes"))


def logistic() -> Iterator[Row]:
    """Whether a tumour is malignant."""
    columns: dict[str, Number | Category] = {
        "kind": Category(("benign", "malignant")),
        "mean_radius": Number(0, 40, 3),
        "mean_texture": Number(0, 60, 2),
        "mean_smoothness": Number(0, 0.5, 5),
    }
    with needed("bench"):
        from statsmodels.genmod.families import Binomial
    yield from _glm(tables.tumours(), "logistic", "kind", columns, Binomial())


def linear() -> Iterator[Row]:
    """How far diabetes has come after a year."""
    columns: dict[str, Number | Category] = {
        "target": Number(0, 400, 0),
        "age": Number(0, 120, 0),
        "sex": Category(("1", "2")),
        "bmi": Number(10, 60, 1),
        "bp": Number(40, 200, 2),
    }
    with needed("bench"):
        from statsmodels.genmod.families import Gaussian
    yield from _glm(tables.diabetes(), "linear", "target", columns, Gaussian())


def poisson() -> Iterator[Row]:
    """Visits to a doctor in a year."""
    columns: dict[str, Number | Category] = {
        "mdvis": Number(0, 200, 0),
        "lncoins": Number(0, 5, 6),
        "physlm": Category(("0", "1")),
        "disea": Number(0, 100, 4),
    }
    with needed("bench"):
        from statsmodels.genmod.families import Poisson
    yield from _glm(tables.visits(), "poisson", "mdvis", columns, Poisson())


def _glm(
    table: Tabled,
    family: Literal["linear", "logistic", "poisson"],
    outcome: str,
    columns: dict[str, Number | Category],
    theirs: Any,
) -> Iterator[Row]:
    with needed("bench"):
        from statsmodels.genmod.generalized_linear_model import GLM
    names = [name for name in columns if name != outcome]
    asked = Glm(outcome, tuple((name,) for name in names), family)
    query = Query(columns=columns, rows=table.most_rows, minimum_cell=0, statistics=(asked,))
    (found,) = (result.plain() for result in simulate(query, table.sites).results)
    design = np.stack([np.ones(len(table.rows)), *(_column(table, name, columns) for name in names)], axis=1)
    fitted = GLM(_column(table, outcome, columns), design, family=theirs).fit(tol=1e-14, maxiter=200)
    shown = found["coefficients"]
    part = table.name
    yield Row(part, f"{family}: coefficients", apart(_of(shown, "estimate"), fitted.params), most=CLOSE)
    yield Row(part, f"{family}: standard errors", apart(_of(shown, "standard_error"), fitted.bse), most=CLOSE)
    yield Row(part, f"{family}: deviance", apart([found["deviance"]], [fitted.deviance]), most=CLOSE)


def _column(table: Tabled, name: str, columns: dict[str, Number | Category]) -> Any:
    """Return a column as other packages take it, with the decimals that the query keeps."""
    column = columns[name]
    if isinstance(column, Category):
        return (table.rows[name] == column.values[1]).to_numpy(dtype=float)
    return table.rows[name].to_numpy(dtype=float).round(column.decimals or 0)


def _of(shown: Sequence[dict[str, Any]], name: str) -> list[float]:
    return [one[name] for one in shown]


def components_and_pooling() -> Iterator[Row]:
    """Principal components of tumours' sizes, and what sites estimate of them."""
    with needed("bench"):
        from sklearn.decomposition import PCA
    table = tables.tumours()
    measured = {"mean_radius": Number(0, 40, 3), "mean_texture": Number(0, 60, 2), "mean_smoothness": Number(0, 1, 5)}
    query = Query(
        columns={**measured, "kind": Category(("benign", "malignant")), "large": EITHER},
        rows=table.most_rows,
        minimum_cell=0,
        statistics=(
            Pca(tuple(measured)),
            Meta("difference", "mean_texture", "kind"),
            Meta("log_odds_ratio", "kind", "large"),
        ),
    )
    pca, difference, odds = (result.plain() for result in simulate(query, table.sites).results)
    rows = np.stack([_column(table, name, dict(query.columns)) for name in measured], axis=1)
    fitted = PCA().fit((rows - rows.mean(axis=0)) / rows.std(axis=0, ddof=1))
    yield Row(table.name, "PCA: variances", apart(pca["variances"], fitted.explained_variance_), most=CLOSE)
    loadings = apart(np.abs(pca["loadings"]), np.abs(fitted.components_))
    yield Row(table.name, "PCA: loadings", loadings, most=CLOSE)
    yield from _pooled("difference of means", difference, [_difference(site) for site in table.sites.values()])
    yield from _pooled("log odds ratio", odds, [_log_odds(site) for site in table.sites.values()])


def _pooled(what: str, found: dict[str, Any], each: Sequence[tuple[float, float]]) -> Iterator[Row]:
    with needed("bench"):
        from statsmodels.stats.meta_analysis import combine_effects
    pooled = combine_effects(*map(np.array, zip(*each, strict=True)), method_re="chi2")
    # A τ² below 0 is 0 to us, and to everybody else.
    effects = [("fixed", "fixed effect")] + [("random", "random effect")] * int(pooled.tau2 > 0)
    for ours, theirs in effects:
        expected = pooled.summary_frame().loc[theirs, ["eff", "sd_eff"]]
        shown = [found[ours]["estimate"], found[ours]["standard_error"]]
        yield Row("tumours", f"meta-analysis of a {what}: {ours}", apart(shown, expected), most=CLOSE)


def _difference(site: Any) -> tuple[float, float]:
    groups = [site["mean_texture"][site["kind"] == kind] for kind in ("malignant", "benign")]
    return groups[0].mean() - groups[1].mean(), sum(group.sem() ** 2 for group in groups)


def _log_odds(site: Any) -> tuple[float, float]:
    kinds, sizes = ("benign", "malignant"), ("no", "yes")
    cells = np.array([[((site["kind"] == kind) & (site["large"] == size)).sum() for size in sizes] for kind in kinds])
    cells = cells + 0.0 if cells.all() else cells + 0.5
    return float(np.log(cells[0, 0] * cells[1, 1] / cells[0, 1] / cells[1, 0])), float((1 / cells).sum())
