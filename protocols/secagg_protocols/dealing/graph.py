"""Who shares keys and secrets with whom, as a value that the server's steps take: everyone with everyone, or a graph.

What is sealed, and what is opened, lies laid out one item after another; a graph knows whose item is where.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ..primitives import shamir
from ..primitives.recovery import OpenedShares, ScatteredShares


class Answer(Protocol):
    """What a holder opened, one share of each dealer. missing: dealers of whom it holds none."""

    @property
    def missing(self) -> tuple[int, ...]: ...
    @property
    def shares(self) -> memoryview: ...


class Graph(Protocol):
    """One round's, over the members of U₁. Ids are ascending everywhere."""

    def circle(self, member: int) -> tuple[int, ...]:
        """Return with whom a member shares keys and secrets, itself included."""

    def others(self, member: int) -> int:
        """Return to how many others a member deals."""

    def views(self, whose: Sequence[int], of: Sequence[int]) -> Iterator[tuple[tuple[int, ...], tuple[int, ...]]]:
        """Yield (participants, whom each of them sees of `of`): who sees the same stands together."""

    def deliver(
        self, dealers: Sequence[int], sealed: bytes, size: int
    ) -> Iterator[tuple[int, tuple[int, ...], memoryview]]:
        """Yield (holder, its dealers, what they sealed for it), for every dealer as a holder.

        sealed: what each dealer sealed for its others, `size` bytes each, one dealer's after another's.
        """

    def opened(self, dealers: Sequence[int], answers: Mapping[int, Answer]) -> OpenedShares | ScatteredShares:
        """Lay out what holders opened of these dealers."""


@dataclass(frozen=True, slots=True)
class CompleteGraph:
    """Everyone with everyone."""

    members: tuple[int, ...]

    def circle(self, member: int) -> tuple[int, ...]:
        return self.members

    def others(self, member: int) -> int:
        return len(self.members) - 1

    def views(self, whose: Sequence[int], of: Sequence[int]) -> Iterator[tuple[tuple[int, ...], tuple[int, ...]]]:
        yield tuple(whose), tuple(of)

    def deliver(
        self, dealers: Sequence[int], sealed: bytes, size: int
    ) -> Iterator[tuple[int, tuple[int, ...], memoryview]]:
        rows = np.frombuffer(sealed, dtype=np.uint8).reshape(len(dealers), len(self.members) - 1, size)
        present = frozenset(dealers)
        everyone = tuple(dealers)
        for position, holder in enumerate(self.members):
            if holder not in present:
                continue
            # A dealer's row leaves the dealer out, so a holder that comes after it stands one place further up.
            before = bisect_left(dealers, holder)
            after = bisect_right(dealers, holder)
            column = np.concatenate(
                [rows[:before, position - 1], *rows[after:, position : position + 1].swapaxes(0, 1)]
            )
            yield holder, everyone, column.reshape(-1).data

    def opened(self, dealers: Sequence[int], answers: Mapping[int, Answer]) -> OpenedShares:
        shape = (len(answers), len(dealers))
        shares = np.zeros((*shape, shamir.SHARE_BYTES), dtype=np.uint8)
        present = np.ones(shape, dtype=np.bool_)
        for row, answer in enumerate(answers.values()):
            if answer.missing:
                present[row] = ~np.isin(dealers, answer.missing)
            shares[row, present[row]] = np.frombuffer(answer.shares, dtype=np.uint8).reshape(-1, shamir.SHARE_BYTES)
        return OpenedShares(tuple(answers), tuple(dealers), shares, present)
