"""What a codec hands out: one participant's encoding, which is secret, and what the sum says, which is not; and how far
one site can have moved it, which nobody sees."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf
from typing import Any

import numpy as np
import numpy.typing as npt

from secagg.codec.layout import FloatArray

from .proposed import ProposedClips

UnsignedArray = npt.NDArray[np.unsignedinteger[Any]]
IntegerArray = npt.NDArray[np.integer[Any]]


@dataclass(frozen=True, slots=True, eq=False)
class Encoded:
    """What one participant contributes, and what only it may know.

    vector      unsigned integers (length,), values in [0, 2**value_bits), the smallest dtype that holds them; secret
    clipped     how many coordinates and metrics were out of range and were clipped; stays local
    clipped_in  name of an array -> how many of its coordinates were; only arrays of which any was
    """

    vector: UnsignedArray
    clipped: int
    clipped_in: Mapping[str, int] = field(default_factory=dict)

    def __repr__(self) -> str:
        return "Encoded(<redacted>)"


@dataclass(frozen=True, slots=True, eq=False)
class Decoded:
    """What the sum says about the survivors.

    arrays        the weighted mean: a dict or list as the layout's kind, with its shapes and dtypes
    weight        the survivors' total weight, exact; None for an unweighted codec
    metrics       name -> weighted mean
    error_bounds  name -> bound on |decoded - exact mean of what is in range|; empty where the codec states none
    clips         what a calibration proposes, which has no mean: `arrays` is then empty
    """

    arrays: dict[str, FloatArray] | list[FloatArray]
    weight: int | None
    metrics: dict[str, float]
    error_bounds: Mapping[str, float] = field(default_factory=dict)
    clips: ProposedClips | None = None

    @property
    def error_bound(self) -> float:
        """The largest of the error bounds; infinite where there are none."""
        return max(self.error_bounds.values(), default=inf)


@dataclass(frozen=True, slots=True)
class Influence:
    """The most that one site can have done to any value of a mean, in the arrays' unit.

    within    moved it, up or down, by numbers in the site's own range
    anywhere  set it to anything from −anywhere to anywhere, by numbers beyond it, which the sum does not show
    array     whose values these are, where arrays differ: others can have been moved by less

    The protocol enforces the range of the *sum*, not of a vector: a site that does not keep to its own has the room of
    all survivors.
    """

    within: float
    anywhere: float
    array: str = ""

    def __str__(self) -> str:
        return (
            f"one site can have moved any value of {self.array or 'the mean'} by {self.within:.3g} within its own "
            f"range, and set it anywhere in ±{self.anywhere:.3g} beyond it" + (", others by less" if self.array else "")
        )
