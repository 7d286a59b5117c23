"""The server's side: `SecAgg` around any strategy that is content with an average."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from logging import ERROR, INFO, WARNING
from typing import Any

from flwr.app import Array, ArrayRecord, ConfigRecord, Message, MetricRecord, RecordDict
from flwr.common.logger import log
from flwr.serverapp import Grid
from flwr.serverapp.strategy import Result, Strategy

from secagg.codec import Decoded, Influence, ProposedClips
from secagg.round import Round, Training, knobs_of
from secagg.round.planned import PlannedRound, Subject, planned_round
from secagg.round.updates import applied, kept, layout_of, mean_of
from secagg_he import BudgetSpent
from secagg_protocols import InputError, ParameterError, RoundContext, RoundFailed

from .encoding import RUN_CONFIG, Task, run_config_of
from .inner import check_inner, weight_key_of
from .mod import job_name
from .records import arrays_in
from .round import GridRound
from .settings import Settings

_MORE_NODES = "run more SuperNodes (--federation-config num-supernodes=10, not 2) or wait for them (min_train_nodes=3)"


@dataclass(frozen=True)
class _Pending:
    """A round between configure_train and aggregate_train."""

    grid: GridRound
    planned: PlannedRound
    task: Task
    template: Message


class SecAgg(Strategy):  # type: ignore[misc]  # flwr is not type-checked here
    """Run `inner` under secure aggregation: it samples, configures and evaluates as ever, and gets one average.

    inner: a strategy of Flower's Message API. scheme, knobs: see `settings.Settings`, and its `of`; clip and weight_max
    must be given. Those that are not SecAgg's own (threshold, colluders, adversary, ciphersuite, …) go to the scheme.

    `training`: which rounds gave a model (`secagg.round.Training`). `result`: what `start` last came to, also where it
    raises. `influence`: how far one site can have moved the last round's mean; None before there is one.

    `proposed_clips`: what a round with clip="calibrate" proposes; no further one is run. Look at it, and pin its text.

    Raises `ParameterError`: an inner strategy that needs individual updates, a knob that does not fit.
    """

    def __init__(self, inner: Strategy, scheme: str = "bonawitz", **knobs: Any) -> None:
        self.inner = inner
        self.settings = Settings.of({"scheme": scheme, **knobs})
        check_inner(inner, getattr(self.settings.codec, "weight_max", 0))
        self.training = Training(self.settings.reruns, self.settings.spending)
        self.result: Result | None = None
        self.influence: Influence | None = None
        self.proposed_clips: ProposedClips | None = None
        self._weight_key = weight_key_of(inner)
        self._pending: _Pending | None = None
        self._last_round: int | None = None
        self._early: Mapping[int, bytes] = {}  # what nodes sent ahead for the next round
        self._begun = False

    @property
    def stopped(self) -> str | None:
        """None, or why no further round is run: one that failed after vectors came has used up its model."""
        return self.training.stopped

    @classmethod
    def from_config(cls, inner: Strategy, run_config: Mapping[str, bool | float | int | str], **knobs: Any) -> SecAgg:
        """Make it with the `secagg-…` keys of the app's configuration: `context.run_config`, all of which is bound."""
        return cls(inner, **{**knobs_of(run_config), "run_config": dict(run_config), **knobs})

    def start(self, grid: Grid, initial_arrays: ArrayRecord, num_rounds: int = 3, *others: Any, **named: Any) -> Result:
        """Run the training as every strategy does. Raises `TrainingFailed` at its end, unless on_failure="return"."""
        self._last_round = num_rounds  # in it nobody is asked for keys of a next one
        self.training.begin()
        self.result = super().start(grid, initial_arrays, num_rounds, *others, **named)
        if self.settings.on_failure == "raise":
            self.training.check()
        return self.result

    def configure_train(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """Let the inner strategy configure, run the steps before the vectors are due, return the messages that ask."""
        self._pending = None
        if self.stopped is not None:
            log(ERROR, "secagg: round %d is not run: %s", server_round, self.stopped)
            return []
        messages = list(self.inner.configure_train(server_round, arrays, config, grid))
        if not messages:
            return []
        try:
            pending = self._prepare(server_round, messages, grid)
        except (ParameterError, BudgetSpent) as refused:
            if not self._begun:
                raise  # settings that never fitted
            log(ERROR, "secagg: %s", self.training.skip(server_round, refused))
            return []
        self._begun = True
        try:
            requests = pending.grid.open()
            self.training.ask(pending.planned, datetime.now(UTC))
        except (RoundFailed, InputError) as failure:  # a ledger that cannot be written: nobody is asked
            self._fail(pending, failure)
            return []
        self._pending = pending
        return requests

    def _prepare(self, server_round: int, messages: list[Message], grid: Grid) -> _Pending:
        settings = self.settings
        settings.check_sampled(len(messages), _MORE_NODES, "secagg-minimum-cohort")
        kind = messages[0].metadata.message_type
        run_config = run_config_of(grid) if settings.run_config is None else settings.run_config
        task = Task.of(_same_content(messages), kind, run_config)
        if not self._begun:
            self._tell(task)
        bound = [] if run_config is None else [RUN_CONFIG]
        received = RoundContext(job_name(messages[0].metadata.run_id), server_round, task.digest)
        last = server_round == self._last_round
        subject = Subject(received, layout_of(task.arrays), bound, last, self._weight_key)
        planned = planned_round(settings, subject, len(messages), datetime.now(UTC))
        self.training.check_budget(planned, datetime.now(UTC))
        early = self._early
        self._early = {}
        nodes = sorted(message.metadata.dst_node_id for message in messages)
        rnd = Round(planned.server, planned.proposal, nodes, ahead=early)
        return _Pending(GridRound(rnd, messages, grid, settings.stage_timeout), planned, task, messages[0])

    def _tell(self, task: Task) -> None:
        """Say what of the nodes' replies is not averaged."""
        if names := kept(task.arrays):
            log(INFO, "secagg: not averaged, the global values stay: %s", ", ".join(names))
        if not getattr(self.settings.codec, "metrics", True):
            log(WARNING, "secagg: train_loss and such stay at the nodes: agree on metrics={'train_loss': (0.0, 10.0)}")

    def aggregate_train(
        self, server_round: int, replies: Iterable[Message]
    ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        """Unmask the sum, and hand the inner strategy its average as if one participant had sent it."""
        pending = self._pending
        self._pending = None
        if pending is None:
            return self._skip(server_round)
        try:
            output = pending.grid.close(replies)
            mean = mean_of(output, pending.planned.codec)
        except (RoundFailed, InputError) as failure:
            self._fail(pending, failure)
            return self._skip(server_round)
        if mean.clips is not None:
            self.proposed_clips = mean.clips
            self.training.calibrated(mean.clips)
            log(INFO, "secagg: round %d: %s", server_round, mean.clips)
            self._record(pending, None)
            return self._skip(server_round)
        self.training.add(len(output.survivors))
        self.influence = pending.planned.codec.influence(len(output.survivors), mean.weight)
        log(INFO, "secagg: round %d: the sum of %d sites; %s", server_round, len(output.survivors), self.influence)
        self._early = dict(pending.grid.round.keys_ahead)
        reply = self._as_one_reply(pending, mean, len(output.survivors))
        result, metrics = self.inner.aggregate_train(server_round, [reply])
        for name in kept(pending.task.arrays):  # what a strategy's arithmetic did to what is no part of a mean
            if result is not None and name in result:
                result[name] = Array(pending.task.arrays[name])
        self._record(pending, result)
        if self.training.spending is not None:
            log(INFO, "secagg: %s", self.training.spending)
            metrics = MetricRecord({**(metrics or {}), **self.training.metrics})
        return result, metrics

    def _fail(self, pending: _Pending, failure: RoundFailed | InputError) -> None:
        """Count and record a round that gave no model."""
        rnd = pending.grid.round
        why = f"{failure} ({pending.grid.heard})" if pending.grid.heard else failure
        log(ERROR, "secagg: %s", self.training.fail(rnd, why))
        self._record(pending, None)

    def _record(self, pending: _Pending, result: ArrayRecord | None) -> None:
        """Write down how a round ended, where a log is kept. result: the next round's model, None where it stays."""
        if self.settings.audit is not None:
            before = pending.task.arrays
            after = before if result is None else arrays_in(result)
            stamp = self.training.stamp(before, after, datetime.now(UTC))
            self.settings.audit.write_round(pending.grid.round, stamp)

    def _skip(self, server_round: int) -> tuple[ArrayRecord | None, MetricRecord | None]:
        """Tell the inner strategy that nothing came, as Flower does; whatever it makes of that, the model stays."""
        self.inner.aggregate_train(server_round, [])
        return None, None

    def _as_one_reply(self, pending: _Pending, mean: Decoded, survivors: int) -> Message:
        arrays = applied(pending.task.arrays, mean)
        weight = survivors if mean.weight is None else mean.weight
        metrics = MetricRecord({self._weight_key: weight, **mean.metrics})
        record = ArrayRecord({name: Array(arrays[name]) for name in pending.task.order})
        content = RecordDict({pending.task.name: record, "metrics": metrics})
        return Message(content, reply_to=pending.template)

    def configure_evaluate(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """Leave evaluation to the inner strategy."""
        return list(self.inner.configure_evaluate(server_round, arrays, config, grid))

    def aggregate_evaluate(self, server_round: int, replies: Iterable[Message]) -> MetricRecord | None:
        """Leave evaluation to the inner strategy."""
        return self.inner.aggregate_evaluate(server_round, replies)

    def summary(self) -> None:
        """Log the settings, then the inner strategy's."""
        log(INFO, "\t├──> Secure aggregation: %s around %s", self.settings.scheme, type(self.inner).__name__)
        log(INFO, "\t│\t└── Codec: %s", self.settings.codec)
        self.inner.summary()


def _same_content(messages: list[Message]) -> RecordDict:
    """Return what all messages carry. Raises `ParameterError` where the strategy gives nodes different content."""
    first = messages[0]
    kind = first.metadata.message_type
    others = [other for other in messages if other.content is not first.content or other.metadata.message_type != kind]
    for other in others:
        if Task.of(other.content, other.metadata.message_type).digest != Task.of(first.content, kind).digest:
            raise ParameterError(
                f"the strategy sends node {other.metadata.dst_node_id} another model or configuration than node "
                f"{first.metadata.dst_node_id}; under secure aggregation all get the same"
            )
    return first.content
