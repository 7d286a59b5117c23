"""The sums that come out without one of U + 1 holders, at some coordinates: as many as show which are possible."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ..core.step import Step
from ..errors import RoundFailed
from ..packing.lanes import Words
from ..primitives.coded import lagrange_basis
from ..primitives.field import Elements
from .params import LightSecAgg

_COORDINATES = 512
"""At so many (or one of every piece) it is looked first. Noise passes the test at any of them with a chance below 1."""


class Leaving:
    """What U + 1 sums of shares, shape (U + 1, piece_length), give without one of them, where it makes a difference."""

    def __init__(self, scheme: LightSecAgg, holders: Sequence[int], shares: Elements) -> None:
        packing = scheme.packing
        self._packing, self._x = packing, np.asarray(holders, dtype=np.int64)
        self._points = scheme.sharings[0].secret_points
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
        self._places, self._inside = places[inside], inside
        self._moments = [
            (
                field,
                field.multiply(basis, own[:, columns]),
                field.multiply(basis * self._x % field.prime, own[:, columns]),
            )
            for (field, own), basis in zip(parts, bases, strict=True)
        ]

    def is_possible(self, holder: int, masked: Words, survivors: tuple[int, ...], step: Step) -> bool:
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
            few.total(words, survivors, step)
        except RoundFailed:
            return False
        return True
