"""What the counts of a calibration propose: a clip for each array, to be seen and pinned by a person."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil

import numpy as np
import numpy.typing as npt

from .clips import clip_text

LOWEST = -32
HIGHEST = 31
RANGES = HIGHEST - LOWEST + 1
COVERED = 0.999
"""Share of an array's values, over all survivors, that its clip is to cover."""

Counts = npt.NDArray[np.uint64]


@dataclass(frozen=True)
class ProposedClips:
    """What a calibration found. counts: name of an array → (RANGES,) values in each range, over all survivors.

    Look at it before you pin it: one site can have moved it anywhere. `str` of it says all there is to see; `text` is
    what to paste, `clips` the same for Python.
    """

    counts: Mapping[str, Counts]

    @property
    def clips(self) -> dict[str, float]:
        """Name → the smallest power of two that covers 99.9 % of the values. An array without values has the widest."""
        found = {name: self.bound(name, COVERED) for name, counts in self.counts.items() if counts.any()}
        widest = max(found.values())
        return {name: found.get(name, widest) for name in self.counts}

    @property
    def text(self) -> str:
        """The clips as they are written in a configuration."""
        return clip_text(self.clips)

    def bound(self, name: str, share: float) -> float:
        """The smallest power of two that covers this share of an array's values."""
        below = np.cumsum(self.counts[name])
        needed = ceil(share * int(below[-1]))
        return float(2.0 ** (LOWEST + int(np.searchsorted(below, needed))))

    def __str__(self) -> str:
        rows = [
            f"  {name}: half of the values ≤ {self.bound(name, 0.5):.3g}, 99.9 % ≤ {clip:.3g}, "
            f"all ≤ {self.bound(name, 1.0):.3g}"
            for name, clip in self.clips.items()
            if self.counts[name].any()
        ]
        return "\n".join([f'clip = "{self.text}"', *rows])
