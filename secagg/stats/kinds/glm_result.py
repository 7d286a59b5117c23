"""What a generalised linear model comes to."""

from __future__ import annotations

from collections.abc import Iterable

from secagg.stats.results import Result, Shown

from .coefficients import Coefficient, degrees, of_references

RATIOS = {"logistic": "odds ratio", "poisson": "rate ratio"}


class GlmResult(Result, frozen=True, tag="glm"):
    """n: rows. level: what counts as 1 in a logistic model. coefficients: the intercept first.

    dispersion: the residual variance of a linear model, 1 in the others. deviance: in a linear model the sum of squared
    residuals; null_deviance: without covariates. freedom: n less the coefficients. steps: sums of Newton's method.
    """

    outcome: str
    level: str
    family: str
    n: int
    references: tuple[str, ...]
    coefficients: tuple[Coefficient, ...]
    dispersion: float
    deviance: float
    null_deviance: float
    freedom: int
    steps: int

    def tables(self) -> Iterable[Shown]:
        ratio = RATIOS.get(self.family)
        letter = "t" if self.family == "linear" else "z"
        headings = ("", "estimate", "se", letter, "p", "low .95", "high .95")
        rows = [(c.name, c.estimate, c.standard_error, c.statistic, c.p, c.low, c.high) for c in self.coefficients]
        if ratio is None:
            yield Shown(self._title(), headings, tuple(rows), tuple(self._notes()))
        else:
            ratios = [(c.ratio, c.ratio_low, c.ratio_high) for c in self.coefficients]
            yield Shown(
                self._title(),
                (*headings[:5], ratio, "low .95", "high .95"),
                tuple((*row[:5], *three) for row, three in zip(rows, ratios, strict=True)),
                tuple(self._notes()),
            )

    def _title(self) -> str:
        return f"{self.family} regression of {self.outcome}" + (f" = {self.level}" if self.level else "")

    def _notes(self) -> Iterable[str]:
        yield f"n = {self.n}, {self.steps} steps of Newton's method"
        if self.family == "linear":
            share = 1 - self.deviance / self.null_deviance
            yield (f"residual standard error {self.dispersion**0.5:.6g} on {degrees(self.freedom)}, R² = {share:.4f}")
        else:
            yield (
                f"null deviance {self.null_deviance:.6g} on {degrees(self.n - 1)}, "
                f"residual deviance {self.deviance:.6g} on {self.freedom}"
            )
        yield from of_references(self.references)
