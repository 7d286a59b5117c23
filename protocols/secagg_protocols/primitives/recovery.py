"""Putting shared secrets together again, and finding out which shares were wrong.

While all is well many dealers are one product of matrices, with checks that see any wrong share among the spare ones;
whether dealers share their holders or have their own each. What is off is repaired dealer by dealer (`Repair`), within
one budget of work for the whole round: holders that were found to lie are left out first; where shares are signed
(active), every one is then compared with what its dealer signed, before any code is asked; else Reed–Solomon decoding
tells which are wrong, and beyond its reach the dealer's commitment, as far as the budget goes.

Blame comes from signed content only. Without it, dealer, holder and server look alike, and all three are named.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import SERVER
from . import shamir
from .blame import Correction, Evidence, Unrecoverable, Verdict
from .cases import Case
from .interpolation import Interpolation
from .randomness import Randomness
from .repair import Repair

__all__ = ["Correction", "Evidence", "OpenedShares", "Recovery", "ScatteredShares", "Unrecoverable", "Verdict"]

_DEALERS_AT_ONCE = 64
_DEALERS_APART_AT_ONCE = 256
_NOTHING = np.uint8(0)


@dataclass(frozen=True, slots=True)
class OpenedShares:
    """What holders returned. holders: m ids. dealers: D ids. shares: (m, D, SHARE_BYTES). present: (m, D), bool."""

    holders: tuple[int, ...]
    dealers: tuple[int, ...]
    shares: NDArray[np.uint8]
    present: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class ScatteredShares:
    """What holders returned where each dealer has its own. dealers: D ids. holders: (D, h) ids, 0 in the place of one
    that did not answer. shares: (N, SHARE_BYTES). rows: (D, h), which of the shares each returned, −1 for none."""

    dealers: tuple[int, ...]
    holders: NDArray[np.int64]
    shares: NDArray[np.uint8]
    rows: NDArray[np.int64]

    def of(self, position: int) -> OpenedShares:
        """Return what was opened of one dealer."""
        answered = self.holders[position] > 0
        rows = self.rows[position, answered][:, None]
        holders = tuple(self.holders[position, answered].tolist())
        return OpenedShares(holders, self.dealers[position : position + 1], self.shares[rows], rows >= 0)


class Recovery:
    """Opens dealers' secrets and keeps the corrections."""

    def __init__(self, threshold: int, evidence: Evidence, randomness: Randomness) -> None:
        self._threshold = threshold
        self._evidence = evidence
        self._randomness = randomness
        self.corrections: list[Correction] = []

    def secrets(self, opened: OpenedShares) -> dict[int, bytes]:
        """Return every dealer's secret, verified. Raises `Unrecoverable`."""
        found: dict[int, bytes] = {}
        off: list[Case] = []
        holders = np.asarray(opened.holders, dtype=np.int64)
        points = Interpolation(holders, self._threshold, self._randomness)
        for start in range(0, len(opened.dealers), _DEALERS_AT_ONCE):
            part = slice(start, start + _DEALERS_AT_ONCE)
            dealers = opened.dealers[part]
            shares = opened.shares[:, part]
            kept = opened.present[:, part].T
            for dealer, mask in zip(dealers, kept, strict=True):
                self._check_enough(dealer, holders, mask)
            there = shares if kept.all() else np.where(kept.T[:, :, None], shares, _NOTHING)
            elements = shamir.decode_as(np.dtype(np.float64), there)
            secrets = shamir.secrets_of(*points.read(kept, elements))
            for place, (dealer, secret) in enumerate(zip(dealers, secrets, strict=True)):
                if secret is not None and self._evidence.verify(dealer, secret):
                    found[dealer] = secret
                else:
                    off.append(Case(dealer, holders, opened.shares, start + place, kept[place], points))
        return found | self._repaired(off)

    def secrets_apart(self, opened: ScatteredShares) -> dict[int, bytes]:
        """As `secrets`, for dealers that have their own holders each."""
        found: dict[int, bytes] = {}
        off: list[Case] = []
        for position, (dealer, secret) in enumerate(zip(opened.dealers, self._candidates(opened), strict=True)):
            if secret is not None and self._evidence.verify(dealer, secret):
                found[dealer] = secret
                continue
            alone = opened.of(position)
            holders = np.asarray(alone.holders, dtype=np.int64)
            kept = alone.present[:, 0]
            self._check_enough(dealer, holders, kept)
            points = Interpolation(holders, self._threshold, self._randomness)
            off.append(Case(dealer, holders, alone.shares, 0, kept, points))
        return found | self._repaired(off)

    def _check_enough(self, dealer: int, holders: NDArray[np.int64], kept: NDArray[np.bool_]) -> None:
        if kept.sum() < self._threshold:
            # Nothing shows who kept the shares back: the dealer, those holders, or the server.
            raise Unrecoverable(dealer, int(kept.sum()), frozenset({dealer, SERVER, *holders[~kept].tolist()}))

    def _repaired(self, cases: list[Case]) -> dict[int, bytes]:
        if not cases:
            return {}
        repair = Repair(self._threshold, self._evidence, self._randomness)
        try:
            return repair.secrets(cases)
        finally:
            self.corrections += repair.corrections

    def _candidates(self, opened: ScatteredShares) -> list[bytes | None]:
        """Reconstruct all dealers without a wrong share, as many at once as have equally many shares."""
        found: list[bytes | None] = [None] * len(opened.dealers)
        present = opened.rows >= 0
        counts = present.sum(axis=1)
        for count in range(self._threshold, present.shape[1] + 1):
            alike = np.flatnonzero(counts == count)
            for start in range(0, alike.size, _DEALERS_APART_AT_ONCE):
                part = alike[start : start + _DEALERS_APART_AT_ONCE]
                shape = (part.size, count)
                points = opened.holders[part][present[part]].reshape(shape)
                elements = shamir.decode(opened.shares[opened.rows[part][present[part]]]).reshape(*shape, -1)
                secrets = shamir.reconstruct_each(points, elements, self._threshold)
                for position, secret in zip(part.tolist(), secrets, strict=True):
                    found[position] = secret
        return found
