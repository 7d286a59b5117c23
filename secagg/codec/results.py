"""What a codec hands out: one participant's encoding, which is secret, and what the sum says, which is not; and how far
one site can have moved it, which nobody sees."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from secagg.codec.layout import FloatArray

UnsignedArray = npt.NDArray[np.unsignedinteger[Any]]


@dataclass(frozen=True, slots=True, eq=False)
class Encoded:
    """What one participant contributes, and what only it may know.

    vector   unsigned integers (length,), values in [0, 2**value_bits), the smallest dtype that holds them; secret
    clipped  how many coordinates and metrics were out of range and were clipped; stays local
    """

    vector: UnsignedArray
    clipped: int

    def __repr__(self) -> str:
        return "Encoded(<redacted>)"


@dataclass(frozen=True, slots=True, eq=False)
class Decoded:
    """What the sum says about the survivors.

    arrays   the weighted mean: a dict or list as the layout's kind, with its shapes and dtypes
    weight   the survivors' total weight, exact; None for an unweighted codec
    metrics  name -> weighted mean
    """

    arrays: dict[str, FloatArray] | list[FloatArray]
    weight: int | None
    metrics: dict[str, float]


@dataclass(frozen=True, slots=True)
class Influence:
    """The most that one site can have done to any value of a mean, in the arrays' unit.

    within    moved it, up or down, by numbers in the site's own range
    anywhere  set it to anything from −anywhere to anywhere, by numbers beyond it, which the sum does not show

    The protocol enforces the range of the *sum*, not of a vector: a site that does not keep to its own has the room of
    all survivors.
    """

    within: float
    anywhere: float

    def __str__(self) -> str:
        return (
            f"one site can have moved any value of the mean by {self.within:.3g} within its own range, and set it "
            f"anywhere in ±{self.anywhere:.3g} beyond it"
        )
