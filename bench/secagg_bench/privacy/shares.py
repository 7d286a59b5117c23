"""Rounds of Bonawitz in which each adds noise in another way than it should, or tells what it added."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from secagg_protocols import Bonawitz
from secagg_protocols.core.noise import NoiseShare

Value = TypeVar("Value")


@dataclass(frozen=True)
class WithShare(Bonawitz):
    """Bonawitz with a share of the noise that may be another than it should be."""

    kind: type[NoiseShare] = field(default=NoiseShare, kw_only=True)

    @cached_property
    def noise_share(self) -> NoiseShare | None:
        share = super().noise_share
        return None if share is None else same_as(self.kind, share)


def same_as(kind: type[Value], value: Any) -> Value:
    """Return a value as one of a kind that has its fields, and may have more."""
    return kind(**{item.name: getattr(value, item.name) for item in fields(value)})


@dataclass(frozen=True)
class Telling(NoiseShare):
    """As it should be. added, taken_off: what participants added, and what the server took off, in their order."""

    added: list[NDArray[np.int64]] = field(default_factory=list)
    taken_off: list[NDArray[np.int64]] = field(default_factory=list)

    def add_to(
        self, vector: NDArray[np.integer[Any]], top: int, base: bytes, layers: Sequence[bytes]
    ) -> NDArray[np.uint64]:
        noisy = super().add_to(vector, top, base, layers)
        self.added.append(noisy.astype(np.int64) - vector.astype(np.int64) - self.bound)
        return noisy

    def take_off(self, total: NDArray[np.int64], layers: Sequence[bytes]) -> None:
        before = total.copy()
        super().take_off(total, layers)
        self.taken_off.append(before - total)

    def known_of_last(self, count: int) -> NDArray[np.int64]:
        """Return what is in the sum of the noise of the last participants."""
        known: NDArray[np.int64] = np.sum(self.added[len(self.added) - count :], axis=0)
        off: NDArray[np.int64] = np.sum(self.taken_off[len(self.taken_off) - count :], axis=0)
        return known - off
