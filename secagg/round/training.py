"""A training, as far as it goes on when rounds fail: which were skipped, when it stops, and what its end says."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from secagg_protocols import SecAggError


class TrainingFailed(SecAggError):
    """No round gave a model, or the training stopped before its last round."""


@dataclass
class Training:
    """The aggregator's memory between rounds. reruns: as in `Settings`.

    stopped: None, or why no further round is run. Without differential privacy no site answers twice for one model,
    since the difference of two sums over fewer sites would be a site's update; where sites accept that, `reruns` says
    how often.
    """

    reruns: int = 0
    stopped: str | None = None
    made: int = 0
    skipped: int = 0
    last_failure: str = ""
    _repeats: int = 0

    def begin(self) -> None:
        """Count rounds anew."""
        self.made = self.skipped = 0

    def add(self) -> None:
        """Count a round that gave a model."""
        self.made += 1
        self._repeats = 0

    def skip(self, number: int, why: object, answered: Collection[object] = ()) -> str:
        """Count a round that gave none; return what to tell, in one line. answered: whose vectors came. Where
        nobody's ever did for this model, it can be asked about again."""
        self.skipped += 1
        self.last_failure = str(why)
        told = f"round {number} is skipped: {why}"
        if not answered and not self._repeats:
            return told
        self._repeats += 1
        if self._repeats <= self.reruns:
            return f"{told}; the next round asks about the same model again"
        self.stopped = (
            f"round {number} failed after updates had been sent, and no site answers twice for one model "
            f"(reruns={self.reruns})"
        )
        return f"{told}; training stops here"

    def check(self) -> None:
        """Raise `TrainingFailed` where it stopped, or no round gave a model."""
        if self.stopped is not None or (self.skipped and not self.made):
            why = [self.stopped or "no model came out of any"]
            if self.last_failure:
                why.append(f"the last to fail: {self.last_failure}")
            raise TrainingFailed(f"{self.made} of {self.made + self.skipped} rounds gave a model: {'; '.join(why)}")
