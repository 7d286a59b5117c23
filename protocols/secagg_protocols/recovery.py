"""Putting shared secrets together again, and finding out which shares were wrong.

Many dealers at once while all is well: one interpolation, and one syndrome check that sees any wrong share among the
spare ones. When something is off, dealer by dealer: what the dealer signed decides first (active), then Reed–Solomon
decoding, then, beyond its radius, the commitment decides which subset of shares is right.

Blame comes from signed content only. Without it, dealer, holder and server look alike, and all three are named.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, islice

import numpy as np
from numpy.typing import NDArray

from . import shamir
from .errors import SecAggError
from .randomness import Randomness
from .reed_solomon import ShareCode, TooManyErrors

_DEALERS_AT_ONCE = 64
_SUBSETS_TRIED = 2000


class Unrecoverable(SecAggError):
    """A dealer's secret cannot be reconstructed from the shares that came. `culprits`: who may be at fault."""

    def __init__(self, dealer: int, have: int, culprits: frozenset[int]) -> None:
        super().__init__(f"the secret that participant {dealer} shared cannot be reconstructed from {have} shares")
        self.dealer, self.have, self.culprits = dealer, have, culprits


@dataclass(frozen=True, slots=True)
class Correction:
    """A wrong share that was found and left out. culprits: who may be at fault, as far as signed content shows."""

    dealer: int
    holder: int
    culprits: frozenset[int]


@dataclass(frozen=True, slots=True)
class OpenedShares:
    """What holders returned. holders: m ids. dealers: D ids. shares: (m, D, SHARE_BYTES). present: (m, D), bool."""

    holders: tuple[int, ...]
    dealers: tuple[int, ...]
    shares: NDArray[np.uint8]
    present: NDArray[np.bool_]


Verify = Callable[[int, bytes], bool]
"""(dealer, secret): is this the secret that the dealer committed to?"""

Blame = Callable[[int, int, bytes], frozenset[int]]
"""(dealer, holder, share): whose fault it is if this share is wrong, as far as signed content shows."""


class Recovery:
    """One opening of many dealers' secrets."""

    def __init__(
        self, opened: OpenedShares, threshold: int, verify: Verify, blame: Blame, randomness: Randomness
    ) -> None:
        self._opened, self._threshold = opened, threshold
        self._verify, self._blame, self._randomness = verify, blame, randomness
        self.corrections: list[Correction] = []

    def secrets(self) -> dict[int, bytes]:
        """Return every dealer's secret, verified. Raises `Unrecoverable`."""
        opened = self._opened
        found: dict[int, bytes] = {}
        for rows, columns in self._groups():
            points = [opened.holders[row] for row in rows]
            if len(points) < self._threshold:
                dealer = opened.dealers[columns[0]]
                raise Unrecoverable(dealer, len(points), frozenset())  # a missing share is nobody's proven fault
            code = ShareCode(points, self._threshold)
            for start in range(0, columns.size, _DEALERS_AT_ONCE):
                part = columns[start : start + _DEALERS_AT_ONCE]
                dealers = [opened.dealers[column] for column in part]
                found.update(self._together(code, dealers, opened.shares[np.ix_(rows, part)]))
        return found

    def _groups(self) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
        """Yield (rows of holders, columns of dealers) such that each group of dealers has the same holders."""
        present = self._opened.present
        if present.all():
            yield np.arange(present.shape[0]), np.arange(present.shape[1])
            return
        patterns, group_of = np.unique(present, axis=1, return_inverse=True)
        for group in range(patterns.shape[1]):
            yield np.flatnonzero(patterns[:, group]), np.flatnonzero(group_of.reshape(-1) == group)

    def _together(
        self, code: ShareCode, dealers: Sequence[int], shares: NDArray[np.uint8]
    ) -> Iterator[tuple[int, bytes]]:
        elements = shamir.decode(shares)
        candidates: Sequence[bytes | None] = [None] * len(dealers)
        try:
            if not code.wrong_shares(elements.reshape(len(code.points), -1), self._randomness):
                t = self._threshold
                candidates = shamir.reconstruct(code.points[:t], elements[:t])
        except TooManyErrors:
            pass  # look at each dealer alone
        for position, (dealer, secret) in enumerate(zip(dealers, candidates, strict=True)):
            if secret is None or not self._verify(dealer, secret):
                secret = self._alone(dealer, code.points, shares[:, position])
            yield dealer, secret

    def _alone(self, dealer: int, holders: Sequence[int], shares: NDArray[np.uint8]) -> bytes:
        """Reconstruct one dealer's secret although some of its shares are wrong."""
        rows = dict(zip(holders, shares, strict=True))
        blame = {holder: self._blame(dealer, holder, share.tobytes()) for holder, share in rows.items()}
        for holder in [holder for holder in rows if blame[holder] == {holder}]:
            self.corrections.append(Correction(dealer, holder, blame[holder]))
            del rows[holder]
        for secret, wrong in self._attempts(rows):
            if self._verify(dealer, secret):
                self.corrections.extend(Correction(dealer, holder, blame[holder]) for holder in sorted(wrong))
                return secret
        raise Unrecoverable(dealer, len(rows), frozenset().union(*(blame[holder] for holder in rows)))

    def _attempts(self, rows: dict[int, NDArray[np.uint8]]) -> Iterator[tuple[bytes, frozenset[int]]]:
        """Yield candidate secrets with the holders that each would make wrong, the likeliest first."""
        t = self._threshold
        if len(rows) < t:
            return
        elements = {holder: shamir.decode(share[None, :])[0] for holder, share in rows.items()}
        try:
            code = ShareCode(tuple(rows), t)
            wrong = code.wrong_shares(np.stack(list(elements.values())), self._randomness)
            yield from self._interpolate([holder for holder in rows if holder not in wrong][:t], elements)
        except TooManyErrors:
            pass
        for subset in islice(combinations(rows, t), _SUBSETS_TRIED):
            yield from self._interpolate(subset, elements)

    def _interpolate(
        self, holders: Sequence[int], elements: dict[int, NDArray[np.int64]]
    ) -> Iterator[tuple[bytes, frozenset[int]]]:
        chosen = np.stack([elements[holder] for holder in holders])
        secret = shamir.reconstruct(holders, chosen[:, None, :])[0]
        if secret is not None:
            others = [holder for holder in elements if holder not in holders]
            yield secret, frozenset(h for h in others if not self._fits(holders, chosen, h, elements[h]))

    def _fits(self, holders: Sequence[int], chosen: NDArray[np.int64], holder: int, element: NDArray[np.int64]) -> bool:
        try:
            ShareCode((*holders, holder), self._threshold).wrong_shares(
                np.concatenate([chosen, element[None, :]]), self._randomness
            )
        except TooManyErrors:
            return False
        return True
