"""Who dealt shares that fit no polynomial, and who holds shares that do not fit: known before anything is encrypted.

Every holder sends, for every dealer, a few combinations of its share, hidden by the dealer's blinding polynomials: a
dealer's combinations are words of the code of its shares. Where one does not fit, dealer or holder is wrong, and nobody
can tell which. Of m holders r = ⌊(m − t)/2⌋ can be spared: as long as no more are in conflict with any dealer, holders
are doubted and every dealer stays. Beyond that either more than r holders lie, or dealers are wrong; then whoever is in
the most conflicts goes first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from secagg_protocols.primitives.coded import lagrange_basis
from secagg_protocols.primitives.field import GF65537, Elements
from secagg_protocols.primitives.randomness import Randomness
from secagg_protocols.primitives.reed_solomon import ShareCode, TooManyErrors

from .params import CHECKS

Marks = NDArray[np.bool_]
"""One mark for each holder and dealer, shape (m, dealers)."""


@dataclass(frozen=True, slots=True)
class Checks:
    """What holders said. values: shape (m, dealers, CHECKS). missing: which shares they do not have."""

    holders: tuple[int, ...]
    dealers: tuple[int, ...]
    values: Elements
    missing: Marks

    @classmethod
    def of(cls, dealers: tuple[int, ...], said: Mapping[int, tuple[Elements, Sequence[int]]]) -> Checks:
        """Put together what holders say. said: holder → (values, shape (dealers, CHECKS); whose share it misses)."""
        values = np.stack([checked for checked, _ in said.values()])
        missing = np.stack([np.isin(dealers, lost) for _, lost in said.values()])
        return cls(tuple(said), dealers, values, missing)


@dataclass(frozen=True, slots=True)
class Verdict:
    """left_out: dealer → holders that its shares do not fit. doubted: holder → dealers whose shares do not fit it."""

    left_out: dict[int, frozenset[int]]
    doubted: dict[int, frozenset[int]]


def judge(checks: Checks, threshold: int, randomness: Randomness) -> Verdict:
    """Decide which dealers are left out and which holders are doubted, so that all others fit each other."""
    holders = np.array(checks.holders)
    dealers = np.array(checks.dealers)
    off, found = _conflicts(checks, threshold, randomness)
    off |= checks.missing | ~found
    stays, doubted = _settle(off, found, holders[:, None] == dealers[None, :], threshold)
    return Verdict(
        {dealer: _named(holders, off[:, column]) for column, dealer in enumerate(checks.dealers) if not stays[column]},
        {holder: _named(dealers, off[row] & stays) for row, holder in enumerate(checks.holders) if doubted[row]},
    )


def fits(right: Checks, holder: int, values: Elements) -> NDArray[np.bool_]:
    """Tell for each dealer whether another holder's values, shape (dealers, CHECKS), fit those of t that are right."""
    expected = _expected(right, np.arange(len(right.holders)), np.array([holder]))
    same: NDArray[np.bool_] = np.all(expected[0] == values, axis=1)
    return same


def _named(ids: NDArray[np.int64], marks: NDArray[np.bool_]) -> frozenset[int]:
    return frozenset(ids[marks].tolist())


def _settle(
    off: Marks, found: NDArray[np.bool_], own: Marks, threshold: int
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return which dealers stay and which holders are doubted. own: each dealer's mark at itself as a holder."""
    # Whoever is in the most conflicts goes; if that leaves too few, dealers before holders, or holders before dealers.
    ways = []
    for weight in (1, 0, len(off)):
        ways.append(_part(off, found, own, threshold, weight))
        if ways[-1][2] >= threshold:
            break
    stays, doubted, _ = max(ways, key=lambda way: way[2])
    return stays, doubted


def _part(
    off: Marks, found: NDArray[np.bool_], own: Marks, threshold: int, weight: int
) -> tuple[NDArray[np.bool_], NDArray[np.bool_], int]:
    """Return as `_settle`, and how many holders are left. weight: of a holder's conflicts beside a dealer's."""
    left = off & found
    there = np.ones(len(off), dtype=bool)
    stays = found.copy()
    doubted = np.zeros(len(off), dtype=bool)
    gone = own[:, ~found].any(axis=1)  # who is left out opens nothing
    left[gone] = there[gone] = False
    by_holder = left.sum(axis=1)
    by_dealer = left.sum(axis=0)

    def part_with(row: int) -> None:
        by_dealer[:] -= left[row]
        left[row] = there[row] = False
        by_holder[row] = 0

    while by_holder.any():
        spare = there.sum() + doubted.sum() - threshold
        if doubted.sum() + np.count_nonzero(by_holder) <= spare // 2:
            doubted |= by_holder > 0
            there &= ~doubted
            break
        row = int(by_holder.argmax())
        column = int(by_dealer.argmax())
        if weight * by_holder[row] >= by_dealer[column] and there.sum() > threshold:
            doubted[row] = True
            part_with(row)
            continue
        stays[column] = False
        by_holder -= left[:, column]
        left[:, column] = False
        by_dealer[column] = 0
        for itself in np.flatnonzero(own[:, column] & there):
            part_with(int(itself))
    return stays, doubted, int(there.sum())


# --- which values are off ------------------------------------------------------------------------------------------


def _conflicts(checks: Checks, threshold: int, randomness: Randomness) -> tuple[Marks, NDArray[np.bool_]]:
    """Return (which values are off their dealer's polynomials, of which dealers these were found)."""
    code = ShareCode(checks.holders, threshold)
    everyone = len(checks.dealers)
    wrong = _liars(code, _folded(checks.values.reshape(len(checks.holders), -1), CHECKS, randomness), randomness)
    if wrong is not None:
        return _off(checks, threshold, wrong), np.ones(everyone, dtype=bool)
    # Some dealers are wrong at too many holders: each dealer for itself.
    words = _folded(checks.values, 1, randomness)[:, :, 0]
    off, found = code.wrong_apart(words)
    if np.count_nonzero(found) >= threshold:
        return off, found
    # Or more holders lie than show at one dealer: together they show at several dealers that are right.
    enough = (len(checks.holders) - threshold) // CHECKS + 1
    for fraction in (1, 2, 4):
        chosen = np.argsort(GF65537.uniform((everyone,), randomness))[: max(1, enough // fraction)]
        wrong = _liars(code, checks.values[:, chosen].reshape(len(checks.holders), -1), randomness)
        if wrong is not None:
            rest = np.flatnonzero(~wrong)
            others = ShareCode([checks.holders[row] for row in rest], threshold)
            off = np.ones_like(checks.missing)
            off[rest], found = others.wrong_apart(words[rest])
            return off, found
    return off, found


def _liars(code: ShareCode, words: Elements, randomness: Randomness) -> NDArray[np.bool_] | None:
    """Return the rows at which any of the words is wrong, None where they cannot be told."""
    try:
        wrong = code.wrong_shares(words, randomness)
    except TooManyErrors:
        return None
    return np.isin(code.points, list(wrong))


def _off(checks: Checks, threshold: int, wrong: NDArray[np.bool_]) -> Marks:
    """Return which values are off, from holders whose values are all right."""
    off = np.zeros_like(checks.missing)
    rows = np.flatnonzero(wrong)
    if rows.size:
        expected = _expected(checks, np.flatnonzero(~wrong)[:threshold], np.array(checks.holders)[rows])
        off[rows] = np.any(expected != checks.values[rows], axis=2)
    return off


def _expected(checks: Checks, right: NDArray[np.intp], at: Elements) -> Elements:
    """Return the values at other points that fit those of t rows, shape (points, dealers, CHECKS)."""
    basis = lagrange_basis(GF65537, np.array(checks.holders)[right], at)
    values = GF65537.multiply(basis, checks.values[right].reshape(right.size, -1))
    return values.reshape(at.size, *checks.values.shape[1:])


def _folded(values: Elements, count: int, randomness: Randomness) -> Elements:
    """Return random combinations along the last axis, `count` in its place."""
    factors = GF65537.uniform((values.shape[-1], count), randomness)
    return GF65537.multiply(values.reshape(-1, values.shape[-1]), factors).reshape(*values.shape[:-1], count)
