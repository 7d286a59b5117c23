"""Who is who in a round, and what was refused of whom.

A peer is whatever the runtime calls a participant. Without identities the aggregator numbers them; with a roster, a
peer's number is its own to say, and is learnt from its first envelope that verifies. Either way no peer speaks for
another, and none takes the place of one that is known.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from types import MappingProxyType
from typing import Generic

from secagg_protocols import SecAggError, Step, WireError

from .outcome import Refused
from .terms import Peer

log = logging.getLogger("secagg.round")

REFUSALS_KEPT = 8
"""So many refusals of one peer, and of all strangers together, are recorded in one round; the rest is only refused."""


class Peers(Generic[Peer]):
    """The peers of one round. numbered: they are participants 1, 2 … in this order. left_out: those who keep their
    number, and are not asked."""

    def __init__(self, names: Iterable[Peer], numbered: bool, left_out: Collection[Peer] = ()) -> None:
        everyone = dict.fromkeys(names)
        self.names = {peer: None for peer in everyone if peer not in left_out}
        places = enumerate(everyone, start=1)
        self._number = {peer: own for own, peer in places if peer in self.names} if numbered else {}
        self._peer = {own: peer for peer, own in self._number.items()}
        self._refused: list[Refused[Peer]] = []
        self._refusals: Counter[Peer | None] = Counter()

    @property
    def participants(self) -> Mapping[Peer, int]:
        """Which participant each peer is, as far as it is known."""
        return MappingProxyType(self._number)

    @property
    def refused(self) -> tuple[Refused[Peer], ...]:
        """What was refused, in order."""
        return tuple(self._refused)

    def named(self, participant: int) -> Peer | None:
        """Return the peer that is this participant; None where nobody is known to be."""
        return self._peer.get(participant)

    def check_known(self, peer: Peer) -> None:
        """Raise `WireError` for a stranger."""
        if peer not in self.names:
            raise WireError("it is nobody whom this round asks")

    def check_speaks_for(self, peer: Peer, sender: int) -> None:
        """Raise `WireError` unless this peer may be this participant."""
        if self._number.get(peer, sender) != sender or self._peer.get(sender, peer) != peer:
            raise WireError(f"it speaks for participant {sender}")

    def learn(self, peer: Peer, sender: int) -> None:
        """Remember who a peer is, now that an envelope of its verified."""
        self._number[peer], self._peer[sender] = sender, peer

    def refuse(self, peer: Peer, step: Step | None, why: SecAggError | str) -> None:
        """Record and log what was refused of a peer, and with which error; or in its own words what it refuses."""
        whose = peer if peer in self.names else None
        self._refusals[whose] += 1
        if self._refusals[whose] > REFUSALS_KEPT:
            return
        refused = Refused(peer, step, str(why), None if isinstance(why, str) else why)
        self._refused.append(refused)
        told = "secagg: %s refuses: %s" if refused.by_site else "secagg: an answer of %s is refused: %s"
        log.warning(told, self.called(peer), why)

    def called(self, peer: Peer) -> str:
        """Return what a peer is called in a log."""
        own = self._number.get(peer)
        return f"{peer}" if own is None else f"{peer} (participant {own})"
