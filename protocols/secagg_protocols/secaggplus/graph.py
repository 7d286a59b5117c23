"""A sparse random graph as the value that Bonawitz' steps take (Bell et al., CCS'20): a Harary graph over everybody."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..dealing.graph import Answer
from ..primitives import shamir
from ..primitives.graphs import Circles
from ..primitives.recovery import ScatteredShares


@dataclass(frozen=True, slots=True, eq=False)
class HararyGraph:
    """Each with its neighbours. circles: of all participants, whoever turns up. present: who of them is in U₁."""

    circles: Circles
    present: NDArray[np.bool_]

    @classmethod
    def among(cls, circles: Circles, members: Sequence[int]) -> HararyGraph:
        """Return the graph of those who turned up."""
        return cls(circles, circles.among(members))

    def circle(self, member: int) -> tuple[int, ...]:
        """Return a member's neighbours and itself, whether they turned up or not."""
        return self.circles.of(member)

    def others(self, member: int) -> int:
        return int(self.present[self.circles.circle[self.circles.position(member)]].sum()) - 1

    def views(self, whose: Sequence[int], of: Sequence[int]) -> Iterator[tuple[tuple[int, ...], tuple[int, ...]]]:
        circles = self.circles
        seen = circles.among(of)[circles.circle]
        ids = circles.ids
        for one in whose:
            row = circles.position(one)
            yield (one,), tuple(ids[row, seen[row]].tolist())

    def deliver(
        self, dealers: Sequence[int], sealed: bytes, size: int
    ) -> Iterator[tuple[int, tuple[int, ...], memoryview]]:
        circles = self.circles
        dealt = self.circles.among(dealers)
        itself = circles.circle == np.arange(dealt.size)[:, None]
        items = np.frombuffer(sealed, dtype=np.uint8).reshape(-1, size)
        numbers = circles.sent_to_me(dealt[:, None] & self.present[circles.circle] & ~itself)
        for (holder,), seen in self.views(dealers, dealers):
            row = numbers[circles.position(holder)]
            yield holder, seen, items.take(row[row >= 0], axis=0).reshape(-1).data

    def opened(self, dealers: Sequence[int], answers: Mapping[int, Answer]) -> ScatteredShares:
        """Lay out what was opened: no two dealers have the same holders."""
        circles = self.circles
        dealt = self.circles.among(dealers)
        holding = circles.among(tuple(answers))
        returned = holding[:, None] & dealt[circles.circle]
        for holder, answer in answers.items():
            if answer.missing:
                returned[circles.position(holder)] &= ~np.isin(circles.of(holder), answer.missing)
        laid = b"".join(answer.shares for answer in answers.values())
        shares = np.frombuffer(laid, dtype=np.uint8).reshape(-1, shamir.SHARE_BYTES)
        holders = np.where(holding[circles.circle], circles.ids, 0)
        return ScatteredShares(tuple(dealers), holders[dealt], shares, circles.sent_to_me(returned)[dealt])
