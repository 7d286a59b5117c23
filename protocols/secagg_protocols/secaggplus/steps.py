"""The one step of SecAggPlus that is not Bonawitz': each member hears of its neighbours' keys (Bell et al., CCS'20)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ..core.channels import key_list_digest
from ..dealing.graph import Graph
from ..dealing.messages import KeyEntry
from .messages import NeighbourList


def neighbour_lists(graph: Graph, entries: Mapping[int, KeyEntry]) -> Iterator[tuple[tuple[int, ...], NeighbourList]]:
    """ShareKeys, the server: yield (member, its own keys and its neighbours', with the digest of everybody's)."""
    members = tuple(entries)
    list_digest = key_list_digest(tuple(entries.values()))
    for recipients, listed in graph.views(members, members):
        yield recipients, NeighbourList(tuple(entries[member] for member in listed), list_digest)
