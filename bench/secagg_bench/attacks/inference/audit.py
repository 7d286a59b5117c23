"""What audits have in common: an ε that there is at the least, beside the one that is claimed."""

from __future__ import annotations

from typing import ClassVar

from ..attack import Attack, Finding, Metric
from ..defence import Defence
from ..released import view_of


class Audit(Attack):
    """Looks for an ε above the one that is claimed. Less of it is no finding: so much is promised."""

    metric: ClassVar[Metric] = Metric(
        "ε that there is at the least, over the ε that is claimed", success=1.0, most=100.0, leeway=1.0
    )

    def view(self, defence: Defence) -> str:
        return f"{view_of(defence)}{', ' + defence.broken if defence.broken else ''}"

    def held_by(self, defence: Defence) -> bool:
        return defence.noise is not None


def found(least: float, claimed: float) -> Finding:
    """Return what an audit found. least: ε that there is; claimed: the one that is stated."""
    return Finding(least / claimed, 0.0, note=f"ε ≥ {least:.2f}, claimed {claimed:.2f}")
