"""Overflow: where sums are counted modulo too little, large values wrap, and nobody sees it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from statistics import fmean
from typing import ClassVar

import numpy as np

import secagg
from secagg_protocols import Bonawitz, InputError, InsecureDeterministicRandomness, Scheme
from secagg_protocols.packing.sums import Domain

from ..attack import Attack, Effort, Finding, Metric
from ..defence import Defence
from .schemes import scheme_of, seen

PARTICIPANTS = 5
LENGTH = 160
BITS = (1, 32)
"""Of a value."""
BORDER = 64
"""Values between large and small ones, as what wraps carries into its neighbours in a word."""
WRAPS = "sums have as many bits as values"


@dataclass(frozen=True)
class NarrowDomain(Domain):
    """Values whose sums are counted modulo 2^value_bits."""

    @cached_property
    def sum_bits(self) -> int:
        """No more than a value has."""
        return self.value_bits


@dataclass(frozen=True)
class Narrow(Bonawitz):
    """Bonawitz in a ring that has no room for a sum."""

    @cached_property
    def domain(self) -> Domain:
        """What is summed."""
        return NarrowDomain(self.participants, self.length, self.value_bits)


class Overflow(Attack):
    """A wrong sum, from values as large as may be and larger."""

    name: ClassVar[str] = "overflow"
    title: ClassVar[str] = "A wrong sum that nobody refuses, from the largest values there are"
    source: ClassVar[str] = "a classic; silent wrap-around in several published implementations"
    adversary: ClassVar[str] = "nobody in particular: all sites have the largest values, or one has a larger one"
    metric: ClassVar[Metric] = Metric("share of sums that are wrong, and that nobody refused", success=0.1)

    def no_view(self, defence: Defence) -> str:
        return "nothing is summed before the server sees it" if defence.scheme is None else ""

    def view(self, defence: Defence) -> str:
        return seen("sums", defence)

    def held_by(self, defence: Defence) -> bool:
        return defence.scheme is not None

    def weak(self) -> Defence:
        return Defence("narrow", "secure sum, bonawitz", "bonawitz", broken=WRAPS)

    def run(self, defence: Defence, seed: int, effort: Effort) -> Finding:
        scheme = scheme_of(defence, PARTICIPANTS, LENGTH, {WRAPS: Narrow})
        found = [_wrong(replace(scheme, value_bits=bits), seed) for bits in BITS]
        large, small = (fmean(shares) for shares in zip(*found, strict=True))
        return Finding(large, small)


def _wrong(scheme: Scheme, seed: int) -> tuple[float, float]:
    """Return the share of wrong sums of (the largest values or a larger one, small values)."""
    rng = np.random.default_rng(seed)
    largest = scheme.domain.largest
    large, small = slice(LENGTH // 2), slice(LENGTH // 2 + BORDER, None)
    vectors = rng.integers(0, largest // PARTICIPANTS, (PARTICIPANTS, LENGTH), dtype=np.uint64, endpoint=True)
    vectors[:, large] = largest
    total = secagg.simulate(scheme, list(vectors), randomness=InsecureDeterministicRandomness(seed)).total
    wrong = total != vectors.sum(axis=0)
    return float(np.mean([*wrong[large], _taken(scheme, vectors, largest + 1)])), float(wrong[small].mean())


def _taken(scheme: Scheme, vectors: np.ndarray, value: int) -> bool:
    """Tell whether a vector with this value gets into a wrong sum."""
    vectors = vectors.copy()
    vectors[0, 0] = value
    try:
        total = secagg.simulate(scheme, list(vectors)).total
    except InputError:
        return False
    return bool((total != vectors.sum(axis=0)).any())
