"""Values that are too wide for one place: cut into limbs, which are summed apart and put together again."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from secagg_protocols.lanes import Words


def split(vector: NDArray[np.integer], limbs: int, bits: int) -> NDArray[np.integer]:
    """Return the limbs of integers, `bits` bits each, lowest first, value by value: shape (length · limbs,)."""
    if limbs == 1:
        return vector
    shifts = np.arange(limbs, dtype=np.uint64) * np.uint64(bits)
    cut: Words = vector.astype(np.uint64)[:, None] >> shifts & np.uint64((1 << bits) - 1)
    return cut.reshape(-1)


def join(sums: Words, limbs: int, bits: int, value_bits: int, count: int) -> Words | None:
    """Return sums of `count` integers of `value_bits` bits from the sums of their limbs, shape (length,).

    None when the top limbs, which may be narrower, are too large for so many. (The others are checked as they come.)
    """
    parts = sums.reshape(-1, limbs)
    if int(parts[:, -1].max()) > count * ((1 << (value_bits - (limbs - 1) * bits)) - 1):
        return None
    shifts = np.arange(limbs, dtype=np.uint64) * np.uint64(bits)
    total: Words = (parts << shifts).sum(axis=1, dtype=np.uint64)
    return total
