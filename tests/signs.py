"""A second codec, as somebody else would write it: no line of secagg knows of it.

Each value travels as a vote, down, none or up, in two bits; the mean of the votes, times `step`, is what comes out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from secagg.codec import Arrays, Codec, Decoded, Encoded, Influence, Layout, Terms, register
from secagg_protocols import InputError, ParameterError


@dataclass(frozen=True)
class SignCodec(Codec):
    """Majority votes: down is 0, none 1, up 2. Nobody weighs more than others, and no metric rides along."""

    layout: Layout
    step: float
    value_bits: ClassVar[int] = 2

    def __post_init__(self) -> None:
        if not 0 < self.step < 1e30:
            raise ParameterError(f"step={self.step} is no distance: give a small positive number")

    @property
    def length(self) -> int:
        return self.layout.size

    @property
    def terms(self) -> SignTerms:
        return SignTerms(self.step)

    def encode(
        self, arrays: Arrays, *, weight: int | None = None, metrics: Mapping[str, float] = {}, randomness: Any = None
    ) -> Encoded:
        if weight is not None or metrics:
            raise InputError("votes have neither weight nor metrics: leave them out")
        return Encoded((np.sign(self.layout.flatten(arrays)) + 1).astype(np.uint8), 0)

    def decode(self, total: Any, survivors: int) -> Decoded:
        if total.max() > 2 * survivors:
            raise InputError(f"total reaches {total.max()}, above the {2 * survivors} of {survivors} votes")
        mean = (total.astype(np.float64) - survivors) * self.step / survivors
        return Decoded(self.layout.unflatten(mean.astype(self.layout.dtype)), None, {})

    def in_range(self, arrays: Arrays) -> Arrays:
        votes = np.sign(self.layout.flatten(arrays).astype(np.float64)) * self.step
        wide = Layout(self.layout.names, self.layout.shapes, ("float64",) * len(self.layout.names), self.layout.kind)
        return wide.unflatten(votes)

    def error_bound(self, survivors: int, weight: int | None = None) -> float:
        return self.step * max(float(np.finfo(name).eps) for name in self.layout.dtypes)

    def influence(self, survivors: int, weight: int | None = None) -> Influence:
        return Influence(2 * self.step / survivors, self.step)


@register
class SignTerms(Terms, frozen=True):
    """What travels of it."""

    kind: ClassVar[str] = "signs"
    version: ClassVar[int] = 3

    step: float

    def codec(self, layout: Layout) -> SignCodec:
        return SignCodec(layout, self.step)
