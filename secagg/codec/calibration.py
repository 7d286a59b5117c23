"""A round that proposes clips: magnitudes of updates, counted by powers of two, array by array.

The vector is one count for each array and range. A value x counts in the range e of 2^(e−1) < |x| ≤ 2^e; the lowest
has all that is smaller, zero too, the highest all that is larger. Counts are whole numbers, so that their sum is exact.
Nothing is weighed: every value of every survivor counts once.

What the sum tells beyond the mean of a round (docs/decisions/0017): how many values of an array lie in each range, over
all survivors together; of an array of one value, that is a list of their magnitudes, to a factor of two and without
names. No noise is in it. The ranges are fixed, so that nobody can search for single values with ranges of their own.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from secagg.listing import listed
from secagg_protocols.errors import InputError
from secagg_protocols.primitives.randomness import SYSTEM, Randomness

from .interface import NO_METRICS, Codec, Terms
from .kinds import register
from .layout import Arrays, FloatArray, Layout
from .proposed import HIGHEST, LOWEST, RANGES, ProposedClips
from .quantise import BLOCK, check_finite, check_total
from .results import Decoded, Encoded, Influence, IntegerArray

CALIBRATE = "calibrate"
"""The clip that asks for such a round."""


@dataclass(frozen=True)
class CalibrationCodec(Codec):
    """Counts of magnitudes. What any one site sends is as secret as its update."""

    layout: Layout
    value_bits: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "value_bits", max(self._sizes).bit_length())

    @property
    def length(self) -> int:
        return RANGES * len(self.layout.names)

    @property
    def terms(self) -> "CalibrationTerms":
        return CalibrationTerms()

    def encode(
        self,
        arrays: Arrays,
        *,
        weight: int | None = None,
        metrics: Mapping[str, float] = NO_METRICS,
        randomness: Randomness = SYSTEM,
    ) -> Encoded:
        """Participant: how many values of each array lie in each range. Raises InputError: NaN or infinity, wrong
        names, shapes or dtypes, a weight or metrics, which have no place here."""
        if weight is not None or metrics:
            raise InputError("a calibration has neither weight nor metrics: leave them out")
        counts = [_counted(name, part) for name, part in self.layout.parts(arrays)]
        top = (1 << self.value_bits) - 1
        return Encoded(np.concatenate(counts).astype(np.min_scalar_type(top)), 0)

    def decode(self, total: IntegerArray, survivors: int) -> Decoded:
        """Server: the clips that follow from the survivors' counts, as `Decoded.clips`; there are no arrays.

        Raises InputError when no such counts have that sum, and for an array whose values no clip covers.
        """
        check_total(total, self.length, survivors, max(self._sizes))
        by_array = total.astype(np.uint64).reshape(len(self.layout.names), RANGES)
        counts = dict(zip(self.layout.names, by_array, strict=True))
        for (name, found), size in zip(counts.items(), self._sizes, strict=True):
            if (counted := sum(map(int, found))) != survivors * size:
                raise InputError(
                    f"array {name!r} has {size} values at each of {survivors} survivors, and {counted} were counted: a "
                    "site has sent something else than its counts; calibrate with another model, or without it"
                )
        proposed = ProposedClips(counts)
        if beyond := [name for name, clip in proposed.clips.items() if clip == 2.0**HIGHEST]:
            raise InputError(
                f"training moves more than 0.1 % of the values of {listed(beyond)} by more than 2^{HIGHEST - 1}: no "
                "clip is proposed; find out why it diverges, or scale these arrays down"
            )
        return Decoded({}, None, {}, clips=proposed)

    def in_range(self, arrays: Arrays) -> Arrays:
        """The arrays as float64: every value is counted as it is."""
        flat = np.concatenate([part.astype(np.float64) for _, part in self.layout.parts(arrays)])
        names, shapes, kind = self.layout.names, self.layout.shapes, self.layout.kind
        return Layout(names, shapes, ("float64",) * len(names), kind).unflatten(flat)

    def error_bound(self, survivors: int, weight: int | None = None) -> float:
        """Zero: counts are exact."""
        return 0.0

    def influence(self, survivors: int, weight: int | None = None) -> Influence:
        """Any site can raise a clip to any power of two, as soon as 0.1 % of the values are its own."""
        return Influence(2.0 ** (HIGHEST - 1), 2.0 ** (HIGHEST - 1))

    @property
    def _sizes(self) -> list[int]:
        return [prod(shape) for shape in self.layout.shapes]


def _counted(name: str, array: FloatArray) -> npt.NDArray[np.int64]:
    counts = np.zeros(RANGES, dtype=np.int64)
    for start in range(0, array.size, BLOCK):
        magnitudes = np.abs(array[start : start + BLOCK].astype(np.float64))
        check_finite(name, magnitudes)
        halves, exponents = np.frexp(magnitudes)  # |x| = half · 2^exponent, ½ ≤ half < 1
        exponents -= halves == 0.5  # a power of two is the end of its range
        exponents[magnitudes == 0] = LOWEST
        counts += np.bincount(np.clip(exponents, LOWEST, HIGHEST) - LOWEST, minlength=RANGES)
    return counts


@register
class CalibrationTerms(Terms, frozen=True):
    """What travels of a `CalibrationCodec`: that it is one. There is nothing to choose."""

    kind: ClassVar[str] = "calibration"
    version: ClassVar[int] = 1

    def codec(self, layout: Layout) -> CalibrationCodec:
        return CalibrationCodec(layout)
