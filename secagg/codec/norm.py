"""The plain mean of vectors clipped to an L2 norm, as noise under the sum needs them (docs/privacy.md).

    q      = D(x · min(1, clip / |x|) · scale, 2) + offset      rounding and noise in one, by the participant
    mean   = (Σ q / survivors − offset) / scale                  with the scheme's noise in it

One participant moves the sum by `clip` in L2 norm, whatever its data. So a site never refuses because of its data: an
update that is not finite counts as zero, and what was clipped stays local. There are no weights, which would tell of
data, and no metrics, which no noise covers.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from secagg_protocols.core.noise import ROUNDING, TAIL
from secagg_protocols.errors import InputError, ParameterError
from secagg_protocols.packing.masks import Keystream
from secagg_protocols.primitives.randomness import SYSTEM, Randomness
from secagg_protocols.primitives.rounding import LARGEST, rounder

from .interface import NO_METRICS, Codec, Terms
from .kinds import register
from .layout import Arrays, Layout
from .results import Decoded, Encoded, Influence, IntegerArray

BELOW_CLIP = 1 - 2.0**-40
"""Vectors are scaled to a little less than the clip: more than floating-point errors make of a norm."""

_KEY_BYTES = 16


@dataclass(frozen=True)
class NormCodec(Codec):
    """What a `secagg.privacy.Mechanism` says is sent: `Mechanism.codec` makes it.

    layout      the arrays
    clip        the whole update is clipped to this L2 norm
    scale       ring units to a unit of the arrays
    offset      what every value is raised by
    value_bits  bits on the wire, noise included
    each        standard deviation of one participant's noise at most, rounding included, in ring units

    Raises ParameterError.
    """

    layout: Layout
    _: KW_ONLY
    clip: float
    scale: float
    offset: int
    value_bits: int
    each: float

    def __post_init__(self) -> None:
        for name in ("clip", "scale", "each"):
            value = getattr(self, name)
            if not (isinstance(value, float) and math.isfinite(value) and value > 0):
                raise ParameterError(f"{name}={value!r} is not a positive number")
        if not 2 <= self.value_bits <= 32 or not 0 < 2 * self.offset < 1 << self.value_bits:
            raise ParameterError(f"offset={self.offset} does not fit value_bits={self.value_bits}")
        reach = self.clip * self.scale
        if reach > LARGEST or math.ceil(reach) + rounder(ROUNDING).bound + 1 > self.offset:
            raise ParameterError(
                f"clip={self.clip} times scale={self.scale} leaves offset={self.offset} no room to round in"
            )

    @property
    def length(self) -> int:
        return self.layout.size

    rounds_with_noise: ClassVar[bool] = True

    @property
    def top(self) -> int:
        return 2 * self.offset

    @property
    def terms(self) -> NormTerms:
        return NormTerms(self.clip, self.scale, self.offset, self.value_bits, self.each)

    def encode(
        self,
        arrays: Arrays,
        *,
        weight: int | None = None,
        metrics: Mapping[str, float] = NO_METRICS,
        randomness: Randomness = SYSTEM,
    ) -> Encoded:
        """Participant: its update, clipped and rounded with noise; drawn anew in every call.

        Raises InputError for wrong names, shapes or dtypes, a weight or metrics: never for what the numbers are.
        """
        if weight is not None or metrics:
            raise InputError("under differential privacy there is neither weight nor metrics: leave them out")
        flat, clipped = self._clipped(arrays)
        flat *= self.scale * BELOW_CLIP
        rounded = rounder(ROUNDING).round(flat, Keystream(randomness.bytes(_KEY_BYTES)))
        rounded += self.offset
        np.clip(rounded, 0, self.top, out=rounded)
        return Encoded(rounded.astype(np.min_scalar_type(self.top)), int(clipped))

    def _clipped(self, arrays: Arrays) -> tuple[NDArray[np.float64], bool]:
        """Return the update as float64 within the norm, and whether it was not."""
        flat = np.concatenate([part.astype(np.float64) for _, part in self.layout.parts(arrays)])
        largest = float(np.abs(flat).max())
        if not math.isfinite(largest):
            return np.zeros_like(flat), True
        if not largest:
            return flat, False
        unit = flat / largest  # so that squares neither over- nor underflow
        norm = float(np.linalg.norm(unit))
        if largest * norm <= self.clip:
            return flat, False
        return unit * (self.clip / norm), True

    def decode(self, total: IntegerArray, survivors: int) -> Decoded:
        """Whoever gets the sum: the mean of the survivors' updates, with the noise in it.

        total      int64 (length,), as the scheme's output holds it: what noise raised it by is off
        survivors  how many vectors are in the sum
        """
        if total.shape != (self.length,) or survivors < 1:
            raise InputError(f"the sum has shape {total.shape} over {survivors} survivors; expected ({self.length},)")
        mean = (total.astype(np.float64) / survivors - self.offset) / self.scale
        bounds = dict.fromkeys(self.layout.names, self.error_bound(survivors))
        return Decoded(self.layout.unflatten(mean.astype(self.layout.dtype)), None, {}, error_bounds=bounds)

    def in_range(self, arrays: Arrays) -> Arrays:
        """The arrays as float64, together clipped to the norm; zeros where they are not finite."""
        flat, _ = self._clipped(arrays)
        names, shapes, kind = self.layout.names, self.layout.shapes, self.layout.kind
        return Layout(names, shapes, ("float64",) * len(names), kind).unflatten(flat)

    def error_bound(self, survivors: int, weight: int | None = None) -> float:
        """How far noise and rounding put a value of the mean off, but for a chance of 2⁻⁷⁵."""
        return float(TAIL) * self.each / math.sqrt(survivors) / self.scale + self.clip * 2.0**-24

    def influence(self, survivors: int, weight: int | None = None) -> Influence:
        """By its own norm a site moves a value by clip / survivors; beyond it, by what fits the ring."""
        return Influence(self.clip / survivors, (1 << self.value_bits) / self.scale)


@register
class NormTerms(Terms, frozen=True):
    """What travels of a `NormCodec`."""

    kind: ClassVar[str] = "norm"
    version: ClassVar[int] = 1

    clip: float
    scale: float
    offset: int
    value_bits: int
    each: float

    def codec(self, layout: Layout) -> NormCodec:
        return NormCodec(
            layout,
            clip=float(self.clip),
            scale=float(self.scale),
            offset=self.offset,
            value_bits=self.value_bits,
            each=float(self.each),
        )
