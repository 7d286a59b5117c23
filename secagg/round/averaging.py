"""Federated averaging as secure sums, round after round, as an aggregator runs it in a runtime that lets it wait."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from secagg.codec import Decoded
from secagg_he import BudgetSpent
from secagg_protocols import InputError, ParameterError, RoundContext, RoundFailed

from .drive import Exchange, drive
from .planned import PlannedRound, Subject, planned_round
from .rounds import Round
from .settings import Settings
from .terms import Peer
from .training import Training
from .updates import Arrays, applied, layout_of, mean_of

log = logging.getLogger("secagg.round")


@dataclass
class Averaging:
    """All rounds of one training. weight_key: as in `CodecTerms`. remedy, floor: as in `Settings.check_sampled`."""

    settings: Settings
    weight_key: str
    remedy: str
    floor: str

    def __post_init__(self) -> None:
        self.training = Training(self.settings.reruns, self.settings.spending)

    def plan(
        self, received: RoundContext, arrays: Arrays, peers: Sequence[Peer], last: bool
    ) -> tuple[PlannedRound, Round[Peer]] | None:
        """Return a round about a model and whatever else is sent (`planned.Subject`); None where it is skipped. Raises
        `ParameterError` for settings that never fitted."""
        try:
            self.settings.check_sampled(len(peers), self.remedy, self.floor)
            subject = Subject(received, layout_of(arrays), [], last, self.weight_key)
            planned = planned_round(self.settings, subject, len(peers), datetime.now(UTC))
            self.training.check_budget(planned.privacy)
        except (ParameterError, BudgetSpent) as refused:
            if not self.training.made + self.training.skipped:
                raise
            log.error("secagg: %s", self.training.skip(received.round, refused))
            return None
        return planned, Round(planned.server, planned.proposal, peers)

    def run(self, planned: PlannedRound, rnd: Round[Peer], arrays: Arrays, exchange: Exchange[Peer]) -> Decoded | None:
        """Run a round and write it down; return its mean, or None where it gave none."""
        mean = self._mean(planned, rnd, exchange)
        if self.settings.audit is not None:
            after = arrays if mean is None else applied(arrays, mean)
            self.settings.audit.write_round(rnd, self.training.stamp(arrays, after, datetime.now(UTC)))
        return mean

    def _mean(self, planned: PlannedRound, rnd: Round[Peer], exchange: Exchange[Peer]) -> Decoded | None:
        number = rnd.proposal.round
        try:
            output = drive(rnd, exchange)
            mean = mean_of(output, planned.codec)
        except (RoundFailed, InputError) as failure:
            answered = rnd.outcome.answered.get(rnd.server.scheme.upload_step, ())
            log.error("secagg: %s", self.training.skip(number, failure, answered, planned.privacy))
            return None
        if mean.clips is not None:
            self.training.stopped = f"the clips are calibrated; pin them and start again: clip={mean.clips.text!r}"
            log.info("secagg: round %d: %s", number, mean.clips)
            return None
        count = len(output.survivors)
        self.training.add(planned.privacy, count)
        log.info(
            "secagg: round %d: the sum of %d sites; %s", number, count, planned.codec.influence(count, mean.weight)
        )
        if self.training.spending is not None:
            log.info("secagg: %s", self.training.spending)
        return mean
