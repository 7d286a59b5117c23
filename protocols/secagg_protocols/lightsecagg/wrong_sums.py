"""Who opened a wrong sum of shares: whom the code locates, and the one liar of U + 1 by what sums are possible.

No step of the paper, which takes every holder at its word (NOTATION.md, departure 7).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from ..errors import SERVER, RoundFailed
from ..packing.lanes import Words
from ..primitives.coded import lagrange_basis
from ..primitives.field import Elements
from ..primitives.randomness import Randomness
from ..primitives.reed_solomon import ShareCode, TooManyErrors
from . import steps
from .params import LightSecAgg

_COORDINATES = 512
"""At so many (or one of every piece) it is looked first. Noise passes the test at any of them with a chance below 1."""

_SUSPECTS = 8
"""Of more holders than this none is looked at closely: the lie is too small to be told from other sums."""


def wrong_holders(
    scheme: LightSecAgg,
    opened: Mapping[int, Elements],
    masked: Words,
    survivors: tuple[int, ...],
    randomness: Randomness,
) -> frozenset[int]:
    """Return the holders whose sums do not fit the others'; with exactly U answers nothing can be seen.

    opened: holder → its sum of shares. masked: the sum of masked inputs. Raises `RoundFailed` when the sums contradict
    each other and it cannot be told which are wrong.
    """
    holders = tuple(sorted(opened))
    shares = np.stack([opened[holder] for holder in holders])
    try:
        return _located(scheme, holders, shares, randomness)
    except TooManyErrors as error:
        wrong = _only_liar(scheme, opened, masked, survivors)
        if wrong:
            return wrong
        spare = len(holders) - scheme.quorum
        raise RoundFailed(
            scheme.opening_step.value,
            len(holders),
            scheme.quorum,
            f"the sums of shares contradict each other and {spare} spare ones do not tell which are wrong: {error}",
            frozenset({SERVER, *holders, *survivors}),
        ) from None


def _located(scheme: LightSecAgg, holders: tuple[int, ...], shares: Elements, randomness: Randomness) -> frozenset[int]:
    """Return the rows of errors in a Reed–Solomon code, in any of the fields. Raises `TooManyErrors`."""
    wrong: frozenset[int] = frozenset()
    for field, part in scheme.packing.sections(scheme.piece_length):
        wrong |= ShareCode(holders, scheme.quorum, field).wrong_shares(shares[:, part], randomness)
    if len(holders) - len(wrong) < scheme.quorum:
        raise TooManyErrors(f"{len(wrong)} of {len(holders)} are wrong, in one field or another")
    return wrong


def _only_liar(
    scheme: LightSecAgg, opened: Mapping[int, Elements], masked: Words, survivors: tuple[int, ...]
) -> frozenset[int]:
    """Return the one of U + 1 holders without whom the values are a possible sum; none where that is not just one.

    If it is the only liar, any other sum that is possible would have to be so by chance. It takes no fewer liars
    to have a wrong sum taken for right than without this: two of U + 1 can agree on one that fits.
    """
    holders = sorted(opened)
    if len(holders) != scheme.quorum + 1:
        return frozenset()
    test = _Leaving(scheme, holders, np.stack([opened[holder] for holder in holders]))
    suspects = [holder for holder in holders if test.is_possible(holder, masked, survivors)]
    if len(suspects) > _SUSPECTS:
        return frozenset()
    possible = []
    for suspect in suspects:
        others = {holder: share for holder, share in opened.items() if holder != suspect}
        try:
            steps.recover(scheme, masked, survivors, others)
        except RoundFailed:
            continue
        possible.append(suspect)
    return frozenset(possible) if len(possible) == 1 else frozenset()


class _Leaving:
    """What U + 1 sums of shares, shape (U + 1, piece_length), give without one of them, where it makes a difference:
    at as many coordinates as show which are possible."""

    def __init__(self, scheme: LightSecAgg, holders: Sequence[int], shares: Elements) -> None:
        packing = scheme.packing
        self._packing = packing
        self._x = np.asarray(holders, dtype=np.int64)
        self._points = scheme.sharings[0].secret_points
        self._step = scheme.opening_step
        parts = [(field, shares[:, part]) for field, part in packing.sections(scheme.piece_length)]
        bases = [lagrange_basis(field, self._x, self._points) for field, _ in parts]
        # Through all points but k: P_k(z) = Σᵢ Lᵢ(z) (xᵢ − xₖ) / (z − xₖ) yᵢ, with the basis L over all of them. Where
        # Σᵢ Lᵢ(z) (xᵢ − z) yᵢ = 0 it does not depend on k: there all fit each other.
        off = np.zeros(parts[0][1].shape[1], dtype=np.bool_)
        for (field, own), basis in zip(parts, bases, strict=True):
            off |= field.multiply(basis[:1] * ((self._x - self._points[0]) % field.prime) % field.prime, own)[0] != 0
        columns = np.flatnonzero(off)[: max(1, _COORDINATES // scheme.pieces)]
        places = (np.arange(scheme.pieces)[:, None] * off.size + columns).reshape(-1)
        inside = places < packing.words // len(parts)  # the last piece is padded
        self._places = places[inside]
        self._inside = inside
        self._moments = [
            (
                field,
                field.multiply(basis, own[:, columns]),
                field.multiply(basis * self._x % field.prime, own[:, columns]),
            )
            for (field, own), basis in zip(parts, bases, strict=True)
        ]

    def is_possible(self, holder: int, masked: Words, survivors: tuple[int, ...]) -> bool:
        """Tell whether the sums without this holder may be those of valid vectors, from the sum of masked inputs."""
        aggregate = []
        for field, zeroth, first in self._moments:
            without = (
                (first - holder * zeroth) % field.prime * field.inverse(self._points - holder)[:, None] % field.prime
            )
            aggregate.append(without.reshape(-1)[self._inside])
        packing = self._packing
        few = replace(packing, domain=replace(packing.domain, length=self._places.size * packing.lanes))
        seen = masked.reshape(len(aggregate), -1)[:, self._places].reshape(-1)
        words = few.reduced(seen.astype(np.int64) - np.concatenate(aggregate)).view(np.uint64)
        try:
            few.total(words, survivors, self._step)
        except RoundFailed:
            return False
        return True
