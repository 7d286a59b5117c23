"""The server of SecAggPlus: it draws the graph, and then does what Bonawitz' server does along its edges."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..bonawitz.messages import SealedShares, UnmaskRequest
from ..bonawitz.server import BonawitzServer
from ..core.channels import key_list_digest, session_id
from ..core.step import Step
from ..core.wire import Envelope
from ..errors import RoundFailed
from ..primitives import shamir
from ..primitives.graphs import Circles, harary
from ..primitives.recovery import Recovery, ScatteredShares
from .messages import NeighbourList
from .params import SecAggPlus


class SecAggPlusServer(BonawitzServer):
    """Made by `SecAggPlus.server`. See `core.server.Server` for the calls. Memory: O(n·k + length)."""

    scheme: SecAggPlus
    list_kind = "NeighbourList"
    _circles: Circles
    _present: NDArray[np.bool_]
    """Which of all participants are members of U₁."""
    _dealt_to: dict[int, int]
    """To how many neighbours each member of U₁ deals."""
    _delivered: dict[int, tuple[int, ...]]
    """Whose shares each holder was delivered, itself included, ascending."""

    def _circle(self, member: int) -> tuple[int, ...]:
        return self._circles.of(member)

    def _others(self, member: int) -> int:
        return self._dealt_to[member]

    def _needed(self, step: Step) -> int:
        # Until inputs are in, so many that the graph still hides what it was drawn to hide.
        return self.scheme.quorum if step is Step.UNMASKING else self.scheme.fewest_left

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

    def _send_key_list(self, answered: tuple[int, ...]) -> list[Envelope]:
        # Over all participants: the risks are computed for this graph, whoever turns up.
        everyone = range(1, self.scheme.participants + 1)
        self._circles = circles = harary(everyone, self.scheme.degree, self._randomness)
        self._members, self._present = answered, circles.among(answered)
        entries, self._entries = self._entries, {}
        list_digest = key_list_digest([entries[member] for member in answered])
        there, ids = self._present[circles.circle], circles.ids
        self._dealt_to, outgoing = {}, []
        for member in answered:
            row = circles.position(member)
            listed = tuple(entries[other] for other in ids[row, there[row]].tolist())
            self._dealt_to[member] = len(listed) - 1
            outgoing.append(self.seal("NeighbourList", member, NeighbourList(listed, list_digest)))
        roster_digest = self._roster.digest if self._roster is not None else b""
        self._session = session_id(self.scheme, roster_digest, self.context, list_digest)
        return outgoing

    def _deliver_shares(self, answered: tuple[int, ...]) -> list[Envelope]:
        self._dealers = answered
        circles, dealt = self._circles, self._circles.among(answered)
        itself = circles.circle == np.arange(dealt.size)[:, None]
        sealed = _laid_out([self._sealed[dealer] for dealer in answered], self.scheme.sealed_bytes)
        self._sealed = {}
        numbers = circles.sent_to_me(dealt[:, None] & self._present[circles.circle] & ~itself)
        dealers, ids = dealt[circles.circle], circles.ids
        self._delivered, outgoing = {}, []
        for holder, position in zip(answered, np.flatnonzero(dealt).tolist(), strict=True):
            self._delivered[holder] = tuple(ids[position, dealers[position]].tolist())
            row = numbers[position]
            column = sealed.take(row[row >= 0], axis=0)
            outgoing.append(
                self.seal("SealedShares", holder, SealedShares(self._delivered[holder], column.reshape(-1).data))
            )
        return outgoing

    def _dealers_to(self, holder: int) -> tuple[int, ...]:
        return self._delivered[holder]

    def _request_opening(self, answered: tuple[int, ...]) -> list[Envelope]:
        survivors = frozenset(self._survivors)
        vanished, outgoing = frozenset(self._dealers) - survivors, []
        for holder in answered:
            dealers = self._delivered[holder]
            alive, gone = filter(survivors.__contains__, dealers), filter(vanished.__contains__, dealers)
            outgoing.append(self.seal("UnmaskRequest", holder, UnmaskRequest(tuple(alive), tuple(gone), (), b"")))
        return outgoing

    def _reconstruct(self, recovery: Recovery, answered: tuple[int, ...]) -> dict[int, bytes]:
        return recovery.secrets_apart(self._opened_apart(answered))

    def _opened_apart(self, answered: tuple[int, ...]) -> ScatteredShares:
        """Return what was opened: no two dealers have the same holders."""
        circles = self._circles
        holding, dealt = circles.among(answered), circles.among(self._dealers)
        returned = holding[:, None] & dealt[circles.circle]
        for holder in answered:
            if missing := self._opened[holder].missing:
                returned[circles.position(holder)] &= ~np.isin(circles.of(holder), missing)
        shares = _laid_out([self._opened[holder].shares for holder in answered], shamir.SHARE_BYTES)
        holders = np.where(holding[circles.circle], circles.ids, 0)
        return ScatteredShares(self._dealers, holders[dealt], shares, circles.sent_to_me(returned)[dealt])


def _laid_out(rows: list[memoryview], size: int) -> NDArray[np.uint8]:
    """Return rows of items of `size` bytes one after another, (items, size)."""
    return np.frombuffer(b"".join(rows), dtype=np.uint8).reshape(-1, size)
