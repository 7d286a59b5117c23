"""The server of SecAggPlus: it draws the graph, and then does what Bonawitz' server does along its edges."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from .. import shamir
from ..bonawitz.messages import SealedShares, UnmaskRequest
from ..bonawitz.server import BonawitzServer
from ..channels import key_list_digest, session_id
from ..graphs import harary
from ..recovery import OpenedShares
from ..wire import Envelope
from .messages import NeighbourList
from .params import SecAggPlus


class SecAggPlusServer(BonawitzServer):
    """Made by `SecAggPlus.server`. See `machine.Server` for the calls. Memory: O(n·k + length)."""

    scheme: SecAggPlus
    _circles: dict[int, tuple[int, ...]]

    def _binding(self, kind: str) -> bytes:
        return self._address if kind in ("AdvertiseKeys", "NeighbourList") else self._session

    def _circle(self, member: int) -> tuple[int, ...]:
        return self._circles[member]

    def _send_key_list(self, answered: tuple[int, ...]) -> list[Envelope]:
        graph = harary(answered, self.scheme.degree, self._randomness)
        self._circles = {member: tuple(sorted((member, *neighbours))) for member, neighbours in graph.items()}
        self._members = answered
        list_digest = key_list_digest([self._entries[member] for member in answered])
        outgoing = [
            self.seal(
                "NeighbourList",
                member,
                NeighbourList(tuple(self._entries[other] for other in self._circles[member]), list_digest),
            )
            for member in answered
        ]
        roster_digest = self._roster.digest if self._roster is not None else b""
        self._session = session_id(self.scheme, roster_digest, self.context, list_digest)
        self._entries = {}
        return outgoing

    def _deliver_shares(self, answered: tuple[int, ...]) -> list[Envelope]:
        self._dealers = answered
        dealing, size, outgoing = frozenset(answered), self.scheme.sealed_bytes, []
        sealed: dict[int, list[bytes]] = {holder: [] for holder in answered}
        for dealer in answered:  # ascending, so that each holder's list is too
            others = [other for other in self._circles[dealer] if other != dealer]
            row = self._sealed[dealer]
            for position, holder in enumerate(others):
                if holder in dealing:
                    sealed[holder].append(bytes(row[position * size : (position + 1) * size]))
        self._sealed = {}
        for holder in answered:
            self._circles[holder] = tuple(member for member in self._circles[holder] if member in dealing)
            message = SealedShares(self._circles[holder], memoryview(b"".join(sealed.pop(holder))))
            outgoing.append(self.seal("SealedShares", holder, message))
        return outgoing

    def _dealers_to(self, holder: int) -> tuple[int, ...]:
        return self._circles[holder]

    def _request_unmasking(self, answered: tuple[int, ...]) -> list[Envelope]:
        survivors, outgoing = frozenset(self._survivors), []
        for holder in answered:
            circle = self._circles[holder]
            alive = tuple(member for member in circle if member in survivors)
            gone = tuple(member for member in circle if member not in survivors)
            outgoing.append(self.seal("UnmaskRequest", holder, UnmaskRequest(alive, gone, (), b"")))
        return outgoing

    def _opened_shares(self, answered: tuple[int, ...]) -> Iterator[OpenedShares]:
        """Yield dealer by dealer: no two have the same holders."""
        size, held = shamir.SHARE_BYTES, {}
        for holder in answered:
            message = self._opened[holder]
            missing = frozenset(message.missing)
            returned = [dealer for dealer in self._circles[holder] if dealer not in missing]
            shares = np.frombuffer(message.shares, dtype=np.uint8).reshape(-1, size)
            held[holder] = (dict(zip(returned, range(len(returned)), strict=True)), shares)
        for dealer in self._dealers:
            holders = tuple(holder for holder in self._circles[dealer] if holder in held)
            shares = np.zeros((len(holders), 1, size), dtype=np.uint8)
            present = np.zeros((len(holders), 1), dtype=np.bool_)
            for row, holder in enumerate(holders):
                positions, returned_shares = held[holder]
                position = positions.get(dealer)
                if position is not None:
                    shares[row, 0], present[row, 0] = returned_shares[position], True
            yield OpenedShares(holders, (dealer,), shares, present)
