"""Rounds at institution level as they should be, and with one fault each, of a kind that no sum shows at a glance.

A fault is a share of the noise, a codec or a seed that is not what the mechanism says: the protocol that runs is ours.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

import secagg
from secagg.codec import Layout, NormCodec
from secagg.codec.layout import Arrays
from secagg.privacy.mechanism import Mechanism
from secagg_protocols import InsecureDeterministicRandomness
from secagg_protocols.core.noise import NoiseShare
from secagg_protocols.primitives.randomness import SYSTEM, Randomness

from .shares import WithShare, same_as

Vectors = NDArray[np.float64]

ABSENT = 1
"""One participant vanishes: of three layers two are too much, and one stays."""


@dataclass(frozen=True)
class Divided(NoiseShare):
    """Noise that is too little, at both ends."""

    by: ClassVar[int]

    @classmethod
    def _drawn(
        cls, length: int, widths: Sequence[str], keys: Sequence[bytes]
    ) -> Iterator[tuple[slice, NDArray[np.int64]]]:
        for part, noise in NoiseShare._drawn(length, widths, keys):
            yield part, np.rint(noise / cls.by).astype(np.int64)


class Halved(Divided):
    """Half of it."""

    by = 2


class Tenth(Divided):
    """A tenth."""

    by = 10


@dataclass(frozen=True)
class OneSilent(NoiseShare):
    """The first participant adds nothing."""

    calls: Iterator[int] = field(default_factory=count)

    def add_to(
        self, vector: NDArray[np.integer[Any]], top: int, base: bytes, layers: Sequence[bytes]
    ) -> NDArray[np.uint64]:
        if next(self.calls):
            return super().add_to(vector, top, base, layers)
        return vector.astype(np.uint64) + np.uint64(self.bound)


class NotTakenOff(NoiseShare):
    """What is too much stays."""

    def take_off(self, total: NDArray[np.int64], layers: Sequence[bytes]) -> None:
        pass


class TakenOffTwice(NoiseShare):
    """What is too much is subtracted twice."""

    def take_off(self, total: NDArray[np.int64], layers: Sequence[bytes]) -> None:
        super().take_off(total, layers)
        super().take_off(total, layers)


class OneTooMany(NoiseShare):
    """One layer more than is too much is opened and taken off."""

    def kept(self, dropouts: int) -> int | None:
        kept = super().kept(dropouts)
        return kept and kept - 1


class Unclipped(NormCodec):
    """Vectors go in as they are."""

    def _clipped(self, arrays: Arrays) -> tuple[Vectors, bool]:
        return np.concatenate([part.astype(np.float64) for _, part in self.layout.parts(arrays)]), False


@dataclass(frozen=True)
class Subject:
    """What is audited. seed: of a generator that says the same in every round; None: it does not."""

    name: str
    share: type[NoiseShare] = NoiseShare
    codec: type[NormCodec] = NormCodec
    seed: int | None = None

    def release(self, mechanism: Mechanism, vectors: Vectors, randomness: Randomness = SYSTEM) -> Vectors:
        """Return the sum that one round decodes to, over participants 2, 3, …: the first vanishes.

        randomness: of the round, where the subject has no seed of its own.
        """
        layout = Layout.of([vectors[0]])
        codec = same_as(self.codec, mechanism.codec(layout))
        if self.seed is not None:
            randomness = InsecureDeterministicRandomness(self.seed)
        scheme = WithShare(
            mechanism.participants,
            mechanism.length,
            value_bits=mechanism.value_bits,
            noise=mechanism.noise,
            kind=self.share,
        )
        encoded = [codec.encode([vector], randomness=randomness).vector for vector in vectors]
        absent = dict.fromkeys(range(1, 1 + ABSENT), "MaskedInput")
        run = secagg.simulate(scheme, encoded, drop=absent, randomness=randomness)
        (mean,) = codec.decode(run.total, len(run.survivors)).arrays
        return np.asarray(mean, dtype=np.float64) * len(run.survivors)


HONEST = Subject("as it should be")

PLANTED = (
    Subject("no clip", codec=Unclipped),
    Subject("noise ÷ 10", Tenth),
    Subject("noise ÷ 2", Halved),
    Subject("a participant without noise", OneSilent),
    Subject("layers not taken off", NotTakenOff),
    Subject("layers taken off twice", TakenOffTwice),
    Subject("one layer too many taken off", OneTooMany),
    Subject("the same noise in two rounds", seed=1),
)
