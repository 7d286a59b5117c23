"""One figure and the bounds that are claimed of it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

STANDARD_ERRORS = 4
"""Of a measured variance, how far it may be from what is promised."""


@dataclass(frozen=True)
class Row:
    """A figure. part: of the benchmark. what: was measured. least, most: what is claimed; without bounds, nothing."""

    part: str
    what: str
    figure: float
    least: float = -math.inf
    most: float = math.inf

    @property
    def held(self) -> bool:
        """Whether the claim holds. What is no number holds nothing."""
        return self.least <= self.figure <= self.most

    @property
    def bound(self) -> str:
        """The claim in words."""
        if math.isinf(self.least):
            return "" if math.isinf(self.most) else f"≤ {self.most:.6g}"
        return f"≥ {self.least:.6g}" if math.isinf(self.most) else f"{self.least:.6g} … {self.most:.6g}"

    def json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "part": self.part,
            "what": self.what,
            "figure": self.figure,
            "least": None if math.isinf(self.least) else self.least,
            "most": None if math.isinf(self.most) else self.most,
            "held": self.held,
        }


def variance_row(part: str, what: str, ratio: float, count: int) -> Row:
    """Return a row for the mean of `count` squared errors over the variance promised."""
    error = STANDARD_ERRORS * math.sqrt(2 / count)
    return Row(part, what, ratio, 1 - error, 1 + error)
