"""What work may be spent on something, counted and not timed."""

from __future__ import annotations

from ..errors import SecAggError


class OutOfWork(SecAggError):
    """The budget is spent."""


class Work:
    """What may still be spent."""

    def __init__(self, budget: int) -> None:
        self.left = budget

    def spend(self, amount: int) -> None:
        """Take an amount, or raise `OutOfWork` and take nothing."""
        if amount > self.left:
            raise OutOfWork("the work that one round may cost is spent")
        self.left -= amount

    def spent(self, amount: int) -> None:
        """Take an amount that was spent already."""
        self.left -= min(amount, self.left)
