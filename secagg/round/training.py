"""A training, as far as it goes on when rounds fail: which were skipped, when it stops, and what its end says."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from secagg.codec import ProposedClips
from secagg.privacy.spending import Spending
from secagg_he import BudgetSpent
from secagg_protocols import SecAggError

from .audit import Stamp, model_digest
from .planned import PlannedRound
from .rounds import Round
from .updates import Arrays


class TrainingFailed(SecAggError):
    """No round gave a model, or the training stopped before its last round."""


@dataclass
class Training:
    """The aggregator's memory between rounds. reruns: as in `Settings`.

    stopped: None, or why no further round is run. Without differential privacy no site answers twice for one model,
    since the difference of two sums over fewer sites would be a site's update; where sites accept that, `reruns` says
    how often. spending: what rounds with noise have given away; None: they have none.
    """

    reruns: int = 0
    spending: Spending | None = None
    stopped: str | None = None
    made: int = 0
    skipped: int = 0
    last_failure: str = ""
    _repeats: int = 0

    def begin(self) -> None:
        """Count rounds anew."""
        self.made = self.skipped = 0

    def check_budget(self, planned: PlannedRound, now: datetime) -> None:
        """Raise `BudgetSpent` where a round with this noise would exceed the budget."""
        if self.spending is not None and planned.privacy is not None:
            self.spending.check(planned.scheme, planned.proposal.context, planned.privacy, now)

    def ask(self, planned: PlannedRound, now: datetime) -> None:
        """Charge a round, before anybody is asked for a vector."""
        if self.spending is not None and planned.privacy is not None:
            self.spending.ask(planned.scheme, planned.proposal.context, planned.privacy, now)

    @property
    def epsilon(self) -> Mapping[str, float]:
        """View → ε of all rounds so far; empty without differential privacy."""
        return {} if self.spending is None else self.spending.epsilon

    @property
    def metrics(self) -> dict[str, float]:
        """The same under names for a runtime's metrics: "epsilon-released-model" and so on."""
        return {f"epsilon-{view.replace(' ', '-')}": value for view, value in self.epsilon.items()}

    def stamp(self, before: Arrays, after: Arrays, now: datetime) -> Stamp:
        """Return what is recorded of a round beside the protocol. before, after: the model, by array."""
        return Stamp(
            now=now,
            model=model_digest(before),
            model_after=model_digest(after),
            epsilon=self.epsilon,
            delta=None if self.spending is None else self.spending.budget.delta,
        )

    def add(self, survivors: int = 0) -> None:
        """Count a round that gave a model, and settle its charge. survivors: how many vectors are in its sum."""
        self.made += 1
        self._repeats = 0
        if self.spending is not None:
            self.spending.succeed(survivors)

    def skip(self, number: int, why: object, answered: Collection[object] = ()) -> str:
        """Count a round that gave none; return what to tell, in one line. answered: whose vectors came: then the round
        stays charged. Where nobody's ever did for this model, it can be asked about again."""
        self.skipped += 1
        if self.spending is not None:
            self.spending.fail(bool(answered))
        self.last_failure = str(why)
        told = f"round {number} is skipped: {why}"
        if isinstance(why, BudgetSpent):
            self.stopped = str(why)
            return f"{told}; training stops here"
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

    def fail(self, rnd: Round[Any], why: object) -> str:
        """Count a round that failed, by how far it came; return what to tell, in one line."""
        answered = rnd.outcome.answered.get(rnd.server.scheme.upload_step, ())
        return self.skip(rnd.proposal.round, why, answered)

    def calibrated(self, clips: ProposedClips) -> None:
        """Stop: what a round proposed is for whoever runs the training to look at."""
        self.stopped = f"the clips are calibrated; pin them and start again: clip={clips.text!r}"

    def check_goes_on(self) -> None:
        """Raise `TrainingFailed` where no further round is run."""
        if self.stopped is not None:
            self.check()

    def check(self) -> None:
        """Raise `TrainingFailed` where it stopped, or no round gave a model."""
        if self.stopped is not None or (self.skipped and not self.made):
            why = [self.stopped or "no model came out of any"]
            if self.last_failure:
                why.append(f"the last to fail: {self.last_failure}")
            raise TrainingFailed(f"{self.made} of {self.made + self.skipped} rounds gave a model: {'; '.join(why)}")
