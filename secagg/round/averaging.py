"""Federated averaging as secure sums, round after round, as an aggregator runs it in a runtime that lets it wait."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from secagg.codec import Decoded
from secagg_he import BudgetSpent
from secagg_protocols import InputError, ParameterError, RoundContext, RoundFailed

from .drive import drive
from .outcome import Outcome
from .planned import PlannedRound, Subject, planned_round
from .pushing import Line, PushSettings, pushed
from .rounds import Round
from .training import Training
from .updates import Arrays, applied, kept, layout_of, mean_of

log = logging.getLogger("secagg.round")


@dataclass(frozen=True)
class Averaged:
    """What a round made of a model. arrays: the model as it was, where the round gave no mean. metrics: the means of
    those that were agreed on. outcome: None where nobody was asked."""

    arrays: Arrays
    metrics: dict[str, float]
    outcome: Outcome[str] | None


@dataclass
class Averaging:
    """All rounds of one training. weight_key: as in `CodecTerms`."""

    settings: PushSettings
    weight_key: str

    def __post_init__(self) -> None:
        self.training = Training(self.settings.reruns, self.settings.spending)

    def round(self, received: RoundContext, arrays: Arrays, peers: Sequence[str], line: Line) -> Averaged:
        """Run a round about a model and whatever else is sent (`planned.Subject`), and write it down; nothing, where
        the job was called off. Raises `ParameterError` for settings that never fitted, `TrainingFailed` where no
        further round is run."""
        if line.stopped():
            return Averaged(arrays, {}, None)
        try:
            planned = self._planned(received, arrays, len(peers))
        except (ParameterError, BudgetSpent) as refused:
            if not self.training.made + self.training.skipped:
                raise
            log.error("secagg: %s", self.training.skip(received.round, refused))
            self.training.check_goes_on()
            return Averaged(arrays, {}, None)
        rnd = Round(planned.server, planned.proposal, peers)
        mean = self._mean(planned, rnd, line)
        after = arrays if mean is None else applied(arrays, mean)
        if self.settings.audit is not None:
            self.settings.audit.write_round(rnd, self.training.stamp(arrays, after, datetime.now(UTC)))
        self.training.check_goes_on()
        return Averaged(after, {} if mean is None else dict(mean.metrics), rnd.outcome)

    def end(self, line: Line) -> None:
        """The last round is over. Raises `TrainingFailed` where none gave a model, unless the job was called off."""
        if not line.stopped():
            self.training.check()

    def _planned(self, received: RoundContext, arrays: Arrays, count: int) -> PlannedRound:
        self.settings.check_sampled(count)
        # As if it were the last: no keys come ahead, where asking for them costs milliseconds.
        subject = Subject(received, layout_of(arrays), [], True, self.weight_key)
        planned = planned_round(self.settings, subject, count, datetime.now(UTC))
        self.training.check_budget(planned, datetime.now(UTC))
        if (names := kept(arrays)) and not self.training.made + self.training.skipped:
            log.info("secagg: not averaged, the global values stay: %s", ", ".join(names))
        return planned

    def _mean(self, planned: PlannedRound, rnd: Round[str], line: Line) -> Decoded | None:
        number = rnd.proposal.round
        try:
            self.training.ask(planned, datetime.now(UTC))
            output = drive(rnd, pushed(rnd, line, self.settings))
            mean = mean_of(output, planned.codec)
        except (RoundFailed, InputError) as failure:
            log.error("secagg: %s", self.training.fail(rnd, failure))
            return None
        if mean.clips is not None:
            self.training.calibrated(mean.clips)
            log.info("secagg: round %d: %s", number, mean.clips)
            return None
        count = len(output.survivors)
        self.training.add(count)
        influence = planned.codec.influence(count, mean.weight)
        log.info("secagg: round %d: the sum of %d sites; %s", number, count, influence)
        if self.training.spending is not None:
            log.info("secagg: %s", self.training.spending)
        return mean
