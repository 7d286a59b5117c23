"""Principal components, from the same exact second moments as covariances."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from secagg.stats.domain import Domain
from secagg.stats.results import Result, Shown
from secagg_protocols.errors import InputError

from .cells import missing_note, shown_missing
from .covariance import Covariance
from .sums import SumsState


class PcaResult(Result, frozen=True, tag="pca"):
    """variances: of each component, largest first, with their standard errors for normal values, λ·√(2 / (n − 1)).

    loadings: of each component, by column, of length 1; its largest one is positive. Empty where rows are too few to be
    shown.
    """

    columns: tuple[str, ...]
    scaled: bool
    n: int | None
    missing: int | None
    variances: tuple[float, ...]
    standard_error: tuple[float, ...]
    shares: tuple[float, ...]
    loadings: tuple[tuple[float, ...], ...]

    def tables(self) -> Iterable[Shown]:
        parts = zip(self.variances, self.standard_error, self.shares, self.loadings, strict=True)
        yield Shown(
            "principal components" + (", of standardised columns" if self.scaled else ""),
            ("", "variance", "std. error", "share", *self.columns),
            tuple((f"{place}", *found, *loads) for place, (*found, loads) in enumerate(parts, start=1)),
            (f"rows: {'too few to be shown' if self.n is None else self.n}", missing_note(self.missing)),
        )


class Pca(Covariance, frozen=True, tag="pca"):
    """Principal components of columns of numbers. scaled: each column has variance 1 first."""

    scaled: bool = True

    def finish(self, state: SumsState, query: Domain) -> Result:
        (found,) = self.sums_of(state, query)
        missing = shown_missing(state.counts, query.minimum_cell)
        if found is None or found[0] < 3:
            return PcaResult(self.columns, self.scaled, None, missing, (), (), (), ())
        n, sums = found
        covariance, correlation, *_ = self._tables(n, sums, [query.number(name).scale for name in self.columns])
        matrix = np.array(correlation if self.scaled else covariance, dtype=np.float64)
        if np.isnan(matrix).any() or not matrix.any():
            raise InputError("a column of the principal components never varies in these rows: leave it out")
        values, vectors = (part[..., ::-1] for part in np.linalg.eigh(matrix))
        signs = np.sign(vectors[np.abs(vectors).argmax(axis=0), range(len(values))])
        return PcaResult(
            columns=self.columns,
            scaled=self.scaled,
            n=n,
            missing=missing,
            variances=tuple(values.tolist()),
            standard_error=tuple((values * math.sqrt(2 / (n - 1))).tolist()),
            shares=tuple((values / values.sum()).tolist()),
            loadings=tuple(map(tuple, (vectors * signs).T.tolist())),
        )
