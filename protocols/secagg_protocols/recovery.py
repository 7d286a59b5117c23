"""Putting shared secrets together again, and finding out which shares were wrong.

Many dealers at once while all is well: one interpolation, and one syndrome check that sees any wrong share among the
spare ones; whether dealers share their holders or have their own each. When something is off, dealer by dealer: what
the dealer signed decides first (active), then Reed–Solomon decoding, then, beyond its radius, the commitment decides
which subset of shares is right.

Blame comes from signed content only. Without it, dealer, holder and server look alike, and all three are named.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, islice

import numpy as np
from numpy.typing import NDArray

from . import shamir
from .errors import SERVER, SecAggError
from .field import multiply
from .randomness import Randomness
from .reed_solomon import ShareCode, TooManyErrors

_DEALERS_AT_ONCE = 64
_DEALERS_APART_AT_ONCE = 256
_SUBSET_WORK = 1 << 24
"""Bound on t² · subsets tried for one dealer: a few seconds, whatever its shares are."""


class Unrecoverable(SecAggError):
    """A dealer's secret cannot be reconstructed from the shares that came. `culprits`: who may be at fault."""

    def __init__(self, dealer: int, have: int, culprits: frozenset[int]) -> None:
        super().__init__(f"the secret that participant {dealer} shared cannot be reconstructed from {have} shares")
        self.dealer, self.have, self.culprits = dealer, have, culprits


@dataclass(frozen=True, slots=True)
class Correction:
    """A wrong share that was found and left out. culprits: who may be at fault, as far as signed content shows.

    dealer: whose share; 0 where it is a sum over the shares of all survivors.
    """

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


Verify = Callable[[int, bytes], bool]
"""(dealer, secret): is this the secret that the dealer committed to?"""

Blame = Callable[[int, int, bytes], frozenset[int]]
"""(dealer, holder, share): whose fault it is if this share is wrong, as far as signed content shows."""


class Recovery:
    """Opens dealers' secrets and keeps the corrections."""

    def __init__(self, threshold: int, verify: Verify, blame: Blame, randomness: Randomness) -> None:
        self._threshold = threshold
        self._verify, self._blame, self._randomness = verify, blame, randomness
        self.corrections: list[Correction] = []

    def secrets(self, opened: OpenedShares) -> dict[int, bytes]:
        """Return every dealer's secret, verified. Raises `Unrecoverable`."""
        found: dict[int, bytes] = {}
        for rows, columns in _groups(opened.present):
            points = [opened.holders[row] for row in rows]
            if len(points) < self._threshold:
                dealer = opened.dealers[columns[0]]
                absent = {holder for holder in opened.holders if holder not in points}
                # Nothing shows who kept the shares back: the dealer, those holders, or the server.
                raise Unrecoverable(dealer, len(points), frozenset({dealer, SERVER, *absent}))
            code = ShareCode(points, self._threshold)
            for start in range(0, columns.size, _DEALERS_AT_ONCE):
                part = columns[start : start + _DEALERS_AT_ONCE]
                dealers = [opened.dealers[column] for column in part]
                found.update(self._together(code, dealers, opened.shares[np.ix_(rows, part)]))
        return found

    def secrets_apart(self, opened: ScatteredShares) -> dict[int, bytes]:
        """As `secrets`, for dealers that have their own holders each."""
        found: dict[int, bytes] = {}
        for position, (dealer, secret) in enumerate(zip(opened.dealers, self._candidates(opened), strict=True)):
            if secret is not None and self._verify(dealer, secret):
                found[dealer] = secret
            else:
                found.update(self.secrets(opened.of(position)))
        return found

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

    def _together(
        self, code: ShareCode, dealers: Sequence[int], shares: NDArray[np.uint8]
    ) -> Iterator[tuple[int, bytes]]:
        """Reconstruct dealers whose shares the same holders returned; one by one where that does not verify."""
        elements, t = shamir.decode(shares), self._threshold
        candidates: Sequence[bytes | None] = [None] * len(dealers)
        wrong: dict[int, NDArray[np.bool_]] = {}
        try:
            liars = code.wrong_shares(elements.reshape(len(code.points), -1), self._randomness)
            good = [row for row, point in enumerate(code.points) if point not in liars][:t]
            points = [code.points[row] for row in good]
            candidates = shamir.reconstruct(points, elements[good])
            wrong = {
                row: misfits(points, elements[good], point, elements[row])
                for row, point in enumerate(code.points)
                if point in liars
            }
        except TooManyErrors:
            pass  # look at each dealer alone
        for position, (dealer, secret) in enumerate(zip(dealers, candidates, strict=True)):
            if secret is None or not self._verify(dealer, secret):
                secret = self._alone(dealer, code.points, shares[:, position])
            else:
                for row in (row for row, off in wrong.items() if off[position]):
                    holder = code.points[row]
                    blame = self._blame(dealer, holder, shares[row, position].tobytes())
                    self.corrections.append(Correction(dealer, holder, blame))
            yield dealer, secret

    def _alone(self, dealer: int, holders: Sequence[int], shares: NDArray[np.uint8]) -> bytes:
        """Reconstruct one dealer's secret although some of its shares are wrong."""
        rows = dict(zip(holders, shares, strict=True))
        blame = {holder: self._blame(dealer, holder, share.tobytes()) for holder, share in rows.items()}
        # A holder that returns something else than what the dealer signed is out at once. (A dealer's own share is the
        # one where dealer and holder are the same: it stays, and is left out only if it proves wrong.)
        liars = [holder for holder in rows if blame[holder] == {holder} and holder != dealer]
        for holder in liars:
            self.corrections.append(Correction(dealer, holder, blame[holder]))
            del rows[holder]
        if len(rows) < self._threshold:
            raise Unrecoverable(dealer, len(rows), frozenset(liars))
        elements = {holder: shamir.decode(share[None, None, :])[0] for holder, share in rows.items()}
        for chosen in self._subsets(elements):
            values = np.stack([elements[holder] for holder in chosen])
            secret = shamir.reconstruct(chosen, values)[0]
            if secret is not None and self._verify(dealer, secret):
                for holder in (holder for holder in rows if holder not in chosen):
                    if misfits(chosen, values, holder, elements[holder]).any():
                        self.corrections.append(Correction(dealer, holder, blame[holder]))
                return secret
        raise Unrecoverable(dealer, len(rows), frozenset().union(*(blame[holder] for holder in rows)))

    def _subsets(self, elements: dict[int, NDArray[np.int64]]) -> Iterator[Sequence[int]]:
        """Yield sets of t holders whose shares may all be right, the likeliest first."""
        holders, t = tuple(elements), self._threshold
        try:
            rows = np.stack([elements[holder][0] for holder in holders])
            wrong = ShareCode(holders, t).wrong_shares(rows, self._randomness)
            yield [holder for holder in holders if holder not in wrong][:t]
            if not wrong:
                return  # all lie on one polynomial: every subset gives the same secret
        except TooManyErrors:
            pass
        yield from islice(combinations(holders, t), max(1, _SUBSET_WORK // t**2))


def misfits(
    points: Sequence[int], elements: NDArray[np.int64], at: int, values: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Tell for each secret whether its values at the point `at` lie off the polynomials.

    `elements`: shape (t, secrets, LIMBS), the values at t `points`, `at` not among them. `values`: (secrets, LIMBS).
    """
    expected = multiply(shamir.lagrange(points, at)[None, :], elements.reshape(len(points), -1))
    wrong: NDArray[np.bool_] = np.any(expected.reshape(values.shape) != values, axis=1)
    return wrong


def _groups(present: NDArray[np.bool_]) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Yield (rows of holders, columns of dealers) such that each group of dealers has the same holders."""
    if present.all():
        yield np.arange(present.shape[0]), np.arange(present.shape[1])
        return
    patterns, group_of = np.unique(present, axis=1, return_inverse=True)
    for group in range(patterns.shape[1]):
        yield np.flatnonzero(patterns[:, group]), np.flatnonzero(group_of.reshape(-1) == group)
