"""Dealers whose shares do not give their secrets, and the shares of many of them at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from operator import attrgetter

import numpy as np
from numpy.typing import NDArray

from ..errors import SERVER
from . import shamir
from .blame import Correction, Unrecoverable
from .field import Elements, Floats, multiply, uniform
from .interpolation import Interpolation, Mask, Masks
from .randomness import Randomness

AT_ONCE = 64
"""So many dealers are decoded at once, so that their shares stay in cache."""


@dataclass(slots=True, eq=False)
class Case:
    """A dealer whose shares do not give its secret.

    holders: m ids. table: (m, dealers, SHARE_BYTES), this dealer's shares in a column. returned: whose came; there: of
    those, the ones to go by.
    """

    dealer: int
    holders: NDArray[np.int64]
    table: NDArray[np.uint8]
    column: int
    returned: Mask
    points: Interpolation
    there: Mask = field(init=False)
    secret: bytes = b""
    wrong: NDArray[np.intp] = field(default_factory=lambda: np.zeros(0, dtype=np.intp))
    """The rows whose shares lie off the polynomials that the secret is from."""
    lied: NDArray[np.intp] = field(default_factory=lambda: np.zeros(0, dtype=np.intp))
    """The rows whose shares are not those that the dealer signed."""
    decoded: bool = False
    """Whether locating the wrong shares among all was tried."""
    tried: int = -1
    """What was learnt of liars when it was last tried without them."""
    compared: bool = False
    """Whether only shares are there that the dealer signed."""

    def __post_init__(self) -> None:
        self.there = self.returned

    @property
    def shares(self) -> NDArray[np.uint8]:
        """What the holders returned, (m, SHARE_BYTES)."""
        return self.table[:, self.column]

    @property
    def elements(self) -> Floats:
        """The shares in elements, (m, LIMBS); 0 for those that are not there."""
        return elements_of([self])[:, 0]

    @property
    def have(self) -> int:
        """How many shares are there."""
        return int(np.count_nonzero(self.there))


def have_same_holders(cases: Sequence[Case]) -> bool:
    """Tell whether dealers have the same holders."""
    return all(case.points is cases[0].points for case in cases)


def closed(cases: Sequence[Case]) -> list[Case]:
    """Return the dealers whose secrets are not open yet."""
    return [case for case in cases if not case.secret]


def there_of(cases: Sequence[Case]) -> Masks:
    """Return which shares of dealers with the same holders are there, (dealers, m)."""
    return np.stack([case.there for case in cases])


def elements_of(cases: Sequence[Case]) -> Floats:
    """Return the shares of dealers with the same holders in elements, (m, dealers, LIMBS); 0 where one is not there."""
    table = cases[0].table
    if all(case.table is table for case in cases):
        shares = table.take([case.column for case in cases], axis=1)
    else:
        shares = np.stack([case.shares for case in cases], axis=1)
    there = there_of(cases)
    if not there.all():
        shares[~there.T] = 0
    return shamir.decode_as(np.dtype(np.float64), shares)


def folded(cases: Sequence[Case], combinations: Elements, randomness: Randomness) -> Elements:
    """Return combinations (LIMBS, count) of the limbs of each dealer's shares, (m, dealers, count); noise for shares
    that are not there."""
    parts = []
    for start in range(0, len(cases), AT_ONCE):
        part = cases[start : start + AT_ONCE]
        limbs = elements_of(part)
        words = multiply(limbs.reshape(-1, shamir.LIMBS), combinations).reshape(*limbs.shape[:2], -1)
        gone = ~there_of(part).T
        words[gone] = uniform((int(gone.sum()), words.shape[2]), randomness)
        parts.append(words)
    return np.concatenate(parts, axis=1)


def corrected(case: Case, proven: Mask | None) -> list[Correction]:
    """Return the corrections of shares that are not the signed ones, or lie off the polynomials.

    proven: by id, who was found to return something else than what a dealer signed; None where nothing is signed.
    A dealer that signed a share off the polynomials is only to blame if all the others are its own words too; else the
    holder is, if it is proven to have lied about another dealer.
    """
    dealer = case.dealer
    holders = case.holders[case.wrong].tolist()
    if proven is None:
        return [Correction(dealer, holder, (dealer, holder, SERVER)) for holder in holders]
    if case.compared:
        lied = [Correction(dealer, holder, (holder,)) for holder in case.holders[case.lied].tolist()]
        wrong = [Correction(dealer, holder, (dealer,)) for holder in holders]
        return sorted(lied + wrong, key=attrgetter("holder"))
    sure = proven[case.holders[case.wrong]].tolist()
    return [
        Correction(dealer, holder, (holder,) if alone else (dealer, holder, SERVER))
        for holder, alone in zip(holders, sure, strict=True)
    ]


def unrecoverable(case: Case, signed: bool) -> Unrecoverable:
    """Return the error that names whose fault it may be. signed: whether the dealer signed what is left."""
    if signed:
        return Unrecoverable(case.dealer, case.have, frozenset({case.dealer}))
    holders = case.holders[case.there].tolist()
    return Unrecoverable(case.dealer, case.have, frozenset({case.dealer, SERVER, *holders}))
