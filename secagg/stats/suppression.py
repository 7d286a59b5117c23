"""Which cells of a table of counts may be shown."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def shown(counts: NDArray[np.int64], minimum: int) -> NDArray[np.bool_]:
    """Return which cells hold no row, or `minimum` and more."""
    fine: NDArray[np.bool_] = (counts == 0) | (counts >= minimum)
    return fine
