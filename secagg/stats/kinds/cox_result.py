"""What a Cox regression comes to."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from secagg.stats.results import Result, Shown

from .coefficients import Coefficient, degrees, of_references
from .laws import chi2_tail


class OverallTest(msgspec.Struct, frozen=True):
    """Whether any covariate matters. freedom: as many as there are covariates."""

    test: str
    chi2: float
    freedom: int
    p: float


class CoxResult(Result, frozen=True, tag="cox"):
    """n: rows; events: among them. coefficients: log hazard ratios; references: what categories are compared with.

    intervals: how many groups of event times there are; each is one time to the model. steps: sums that
    Newton's method took. log_likelihood, null_log_likelihood: of the partial likelihood, at the estimate and at 0.
    """

    time: str
    event: str
    ties: str
    n: int
    events: int
    intervals: int
    minimum_cell: int
    references: tuple[str, ...]
    coefficients: tuple[Coefficient, ...]
    log_likelihood: float
    null_log_likelihood: float
    tests: tuple[OverallTest, ...]
    steps: int

    def tables(self) -> Iterable[Shown]:
        yield Shown(
            f"Cox regression: {self.time} until {self.event}",
            ("", "coef", "exp(coef)", "se(coef)", "z", "p", "low .95", "high .95"),
            tuple(
                (c.name, c.estimate, c.ratio, c.standard_error, c.statistic, c.p, c.ratio_low, c.ratio_high)
                for c in self.coefficients
            ),
            tuple(self._notes()),
        )

    def _notes(self) -> Iterable[str]:
        yield f"n = {self.n}, events = {self.events}, ties: {self.ties}, {self.steps} steps of Newton's method"
        for test in self.tests:
            yield f"{test.test}: χ² = {test.chi2:.4g} on {degrees(test.freedom)}, p = {test.p:.4g}"
        yield from of_references(self.references)
        if self.minimum_cell > 1:
            yield (
                f"event times were joined to {self.intervals}, so that no sum is of fewer than {self.minimum_cell} "
                "rows: the estimate is that of the joined times"
            )


def overall_tests(freedom: int, ratio: float, wald: float, score: float) -> tuple[OverallTest, ...]:
    """Return the three tests, as R lists them."""
    found = (("likelihood ratio test", ratio), ("Wald test", wald), ("score (log-rank) test", score))
    return tuple(OverallTest(name, value, freedom, chi2_tail(value, freedom)) for name, value in found)
