"""From opened sums of key shares to the sum of the keys, when some are wrong: candidates, for the noise to judge."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, combinations, islice

import numpy as np

from secagg_protocols.errors import SERVER, RoundFailed
from secagg_protocols.packing.lanes import Words
from secagg_protocols.primitives.coded import lagrange_basis
from secagg_protocols.primitives.field import GF65537, Elements
from secagg_protocols.primitives.randomness import Randomness
from secagg_protocols.primitives.reed_solomon import ShareCode, TooManyErrors

from ..ring import Integers, centred
from . import steps
from .params import ThresholdCkks

_GUESSES = 256
_WORK = 1 << 20
"""Bounds on what is tried when more sums are wrong than can be located: sets left out, m² steps each."""


@dataclass(frozen=True, slots=True)
class Opened:
    """Sums of key shares, shape (m, share_elements), of m holders."""

    scheme: ThresholdCkks
    holders: tuple[int, ...]
    sums: Elements

    def of(self, rows: Sequence[int]) -> Opened:
        """Return what some of the holders opened."""
        return Opened(self.scheme, tuple(self.holders[row] for row in rows), self.sums[list(rows)])

    def without(self, holders: frozenset[int]) -> Opened:
        """Return what all others opened."""
        return self.of([row for row, holder in enumerate(self.holders) if holder not in holders])

    @property
    def enough(self) -> bool:
        """Whether there are as many as give the sum of the keys."""
        return len(self.holders) >= self.scheme.quorum

    def misfits(self, right: Sequence[int]) -> list[int]:
        """Return the holders whose sums are off the polynomials of t right ones."""
        chosen = self.of([self.holders.index(holder) for holder in right])
        others = self.without(frozenset(right))
        if not others.holders:
            return []
        basis = lagrange_basis(GF65537, np.array(chosen.holders), np.array(others.holders))
        off = np.any(GF65537.multiply(basis, chosen.sums) != others.sums, axis=1)
        return [holder for holder, wrong in zip(others.holders, off.tolist(), strict=True) if wrong]


Candidate = tuple[Integers, tuple[int, ...]]
"""A sum of keys, and the t holders that it is from."""


def find_key_sum(
    opened: Opened,
    doubted: frozenset[int],
    survivors: Sequence[int],
    session: bytes,
    first: Words,
    randomness: Randomness,
) -> Candidate:
    """Return S and the holders it is from. first: the first polynomial of the sum of ciphertexts, whose errors decide.

    Raises `RoundFailed` when under no candidate they are those of honest encryptions.
    """
    scheme = opened.scheme
    for total, right in candidates(opened, doubted, randomness):
        _, errors = steps.decrypt(scheme, session, total, 0, first)
        if steps.is_noise(scheme, len(survivors), [errors]):
            return total, right
    raise RoundFailed(
        scheme.opening_step.value,
        len(opened.holders),
        scheme.quorum,
        "the opened sums of key shares decrypt to noise: wrong shares, or a ciphertext that is garbage",
        frozenset({SERVER, *opened.holders, *survivors}),
    )


def candidates(opened: Opened, doubted: frozenset[int], randomness: Randomness) -> Iterator[Candidate]:
    """Yield sums of keys that may be right, the likeliest first, within bounds.

    doubted: holders whose shares were seen not to fit: they are asked only if without them there is nothing.
    """
    trusted = opened.without(doubted)
    if not trusted.enough:
        trusted = opened
    wrong = _wrong(trusted, randomness)
    if wrong is None:
        wrong = _independently_wrong(trusted, randomness)
    if wrong is not None:
        yield _key_sum(trusted.without(wrong))
    if wrong != frozenset():  # else all lie on one polynomial: every set gives the same key sum
        yield from _guessed(trusted, randomness)
    if len(trusted.holders) < len(opened.holders):
        wrong = _wrong(opened, randomness)
        if wrong is not None:
            yield _key_sum(opened.without(wrong))


def _guessed(opened: Opened, randomness: Randomness) -> Iterator[Candidate]:
    """Yield what sums give without some that are guessed to be wrong."""
    m = len(opened.holders)
    t = opened.scheme.quorum
    if m == t + 1:
        yield from _all_but_one(opened)
        return
    guesses = chain.from_iterable(combinations(opened.holders, count) for count in range(1, m - t + 1))
    for left_out in islice(guesses, min(_GUESSES, _WORK // m**2)):
        kept = opened.without(frozenset(left_out))
        wrong = _wrong(kept, randomness)
        if wrong is not None:
            yield _key_sum(kept.without(wrong))


def _wrong(opened: Opened, randomness: Randomness) -> frozenset[int] | None:
    """Return the holders whose sums are wrong, as far as they can be located."""
    try:
        return ShareCode(opened.holders, opened.scheme.quorum).wrong_shares(opened.sums, randomness)
    except TooManyErrors:
        return None


def _independently_wrong(opened: Opened, randomness: Randomness) -> frozenset[int] | None:
    """As `_wrong`, beyond what is certain: garbage of up to K/(K + 1) of the spare holders, at K elements to a sum.

    Sums times xʲ, j = 0 … k, are on polynomials of a degree below t + k, and wrong at the same holders: k spare holders
    fewer, but k + 1 times the columns. Errors that have nothing to do with each other then have rank enough.
    """
    scheme = opened.scheme
    field = GF65537
    spare = len(opened.holders) - scheme.quorum
    shifts = spare // (scheme.share_elements + 1)
    powers = field.powers(np.array(opened.holders), shifts + 1)
    columns = [opened.sums * powers[:, shift : shift + 1] % field.prime for shift in range(shifts + 1)]
    try:
        code = ShareCode(opened.holders, scheme.quorum + shifts)
        wrong = code.wrong_shares(np.concatenate(columns, axis=1), randomness)
    except TooManyErrors:
        return None
    rest = _wrong(opened.without(wrong), randomness)
    return None if rest is None else wrong | rest


def _key_sum(opened: Opened) -> Candidate:
    scheme = opened.scheme
    chosen = opened.of(range(scheme.quorum))
    return steps.key_sum(scheme, chosen.holders, chosen.sums), chosen.holders


def _all_but_one(opened: Opened) -> Iterator[Candidate]:
    """Yield the sum of keys without each holder in turn.

    Let P interpolate all t + 1 sums, with σ as its coefficient of degree t, and M = ∏ (x − xᵢ). Without holder j the
    polynomial is P − σ · M / (x − xⱼ): it has degree t − 1 and the same values at the others.
    """
    field = GF65537
    sharing = opened.scheme.sharing
    holders = opened.holders
    x = np.array(holders)
    points = sharing.secret_points
    all_of_them = field.multiply(lagrange_basis(field, x, points), opened.sums)
    differences = (x[:, None] - x[None, :]) % field.prime
    np.fill_diagonal(differences, 1)
    leading = field.multiply(field.inverse(field.product(differences))[None, :], opened.sums)[0]
    distances = (points[:, None] - x[None, :]) % field.prime
    factors = field.product(distances)[:, None] * field.inverse(distances) % field.prime
    for row, holder in enumerate(holders):
        pieces = (all_of_them - factors[:, row : row + 1] * leading) % field.prime
        rest = tuple(other for other in holders if other != holder)
        yield centred(pieces.reshape(-1)[: opened.scheme.degree], field.prime), rest
