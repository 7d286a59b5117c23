"""The server of SecAggPlus: Bonawitz' along the edges of a graph that it draws."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ..bonawitz.server import BonawitzServer
from ..dealing.messages import KeyEntry
from ..errors import RoundFailed
from . import steps
from .messages import NeighbourList
from .params import SecAggPlus


class SecAggPlusServer(BonawitzServer):
    """Made by `SecAggPlus.server`. See `core.server.Server` for the calls. Memory: O(n·k + length)."""

    scheme: SecAggPlus

    def _key_lists(self, entries: Mapping[int, KeyEntry]) -> Iterator[tuple[tuple[int, ...], NeighbourList]]:
        return steps.neighbour_lists(self._graph, entries)

    def _too_few(self) -> RoundFailed:
        failure, scheme = super()._too_few(), self.scheme
        if failure.need == scheme.quorum:  # it is not the graph that needs more
            return failure
        return RoundFailed(
            failure.step,
            failure.have,
            failure.need,
            f"with {scheme.degree} neighbours each, {failure.need} of {scheme.participants} must stay: with larger "
            "gaps in the graph parts of the sum could show; nothing was opened; a higher dropout_rate gives more "
            "neighbours",
            failure.culprits,
        )
