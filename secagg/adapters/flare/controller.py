"""The aggregator's side: FLARE's FedAvg, its rounds secure sums.

Keys, shares and unmasking go by auxiliary messages, one thread a site, since FLARE's multicast fails with a timeout. The
model goes out in one task, the same for all. FLARE counts error replies among the responses: the waiting is our own.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from nvflare.apis.controller_spec import ClientTask
from nvflare.apis.controller_spec import Task as FlareTask
from nvflare.apis.fl_constant import ReturnCode
from nvflare.apis.fl_context import FLContext
from nvflare.apis.shareable import Shareable
from nvflare.apis.utils.fl_context_utils import add_job_audit_event
from nvflare.app_common.abstract.fl_model import FLModel, ParamsType
from nvflare.app_common.workflows.fedavg import FedAvg

from secagg import round as rounds
from secagg.round import Requests, Round
from secagg.round.averaging import Averaging
from secagg.round.updates import applied
from secagg.round.waiting import POLL, arriving, ask_all
from secagg_protocols import RoundContext, StateError, WireError

from .site import ANSWERS, FOLDER, READY, REQUEST, TOPIC
from .task import WEIGHT_KEY, Task, answers_in, job_name


@dataclass(frozen=True, kw_only=True)
class Settings(rounds.Settings):
    """What the aggregator decides. In seconds: stage_timeout, for each step without training; train_timeout, for
    training; grace, for the others once enough vectors came; start_timeout, until the sites' jobs are up."""

    stage_timeout: float = 30.0
    train_timeout: float = 3600.0
    grace: float = 300.0
    start_timeout: float = 60.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_seconds("stage_timeout", "train_timeout", "grace", "start_timeout")
        self.check_released_to_server("FLARE's controller")


class SecAggController(FedAvg):  # type: ignore[misc]  # nvflare is not type-checked here
    """knobs: `Settings.of`; files in them are relative to the server's `local/secagg`. The others are FedAvg's."""

    def __init__(self, *args: Any, knobs: dict[str, Any], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.knobs = knobs  # FLARE exports an argument from the attribute of its name

    def run(self) -> None:
        """FLARE: the training. Raises `TrainingFailed` where it stopped, or no round gave a model."""
        folder = Path(self.engine.get_workspace().get_site_config_dir()) / FOLDER
        self._settings = Settings.of({"early_keys": False, **self.knobs}, folder)
        self._averaging = Averaging(self._settings, WEIGHT_KEY, "connect more sites", "minimum-cohort")
        self._await_sites()
        super().run()
        self._averaging.training.check()

    def sample_clients(self, num_clients: int | None = None) -> list[str]:
        """FLARE: who is asked in a round: everybody."""
        return sorted(client.name for client in self.engine.get_clients())

    def send_model(self, task_name: str, targets: list[str], data: FLModel, callback: object) -> None:
        """FLARE: one round, which is over when this returns. Raises `TrainingFailed` where no further one is run."""
        self._result = FLModel(ParamsType.FULL, data.params, meta=dict(data.meta))
        if self.abort_signal.triggered:
            return
        self.set_fl_context(data)
        task = self._prepare_task(data, task_name, 0, None)
        about = Task.of(task.data)
        last = self.current_round == self.start_round + self.num_rounds - 1
        received = RoundContext(job_name(self.fl_ctx), self.current_round, about.received)
        if (plan := self._averaging.plan(received, about.arrays, targets, last)) is not None:
            planned, rnd = plan
            exchange = self._exchange(rnd, task)
            mean = self._averaging.run(planned, rnd, about.arrays, exchange)
            add_job_audit_event(fl_ctx=self.fl_ctx, msg=f"secagg {rnd.outcome}")
            if mean is not None:
                self._result.params = applied(about.arrays, mean)
                self._result.metrics = dict(mean.metrics) or None
        if self._averaging.training.stopped is not None:
            self._averaging.training.check()

    def _get_aggregated_result(self) -> FLModel:
        return self._result

    def _exchange(self, rnd: Round[str], task: FlareTask) -> rounds.Exchange[str]:
        """Return how a step of this round is asked, with the model in a task where vectors are due."""

        def exchange(requests: Requests[str], uploads: bool) -> Iterator[tuple[str, bytes]]:
            up = set()
            for peer, answers in ask_all(requests, self._ask):
                up.add(peer)
                yield peer, answers
            if uploads and (targets := sorted(up & rnd.waiting_for)):
                yield from self._vectors(rnd, task, targets)
            self.info(f"secagg: {rnd.step}: {len(requests)} asked, missing: {sorted(rnd.waiting_for)}")

        return exchange

    def _ask(self, peer: str, request: bytes) -> bytes | None:
        message = Shareable({REQUEST: request})
        timeout = self._settings.stage_timeout
        reply = self.engine.send_aux_request([peer], TOPIC, message, timeout, self.fl_ctx).get(peer)
        answers = None if reply is None else reply.get(ANSWERS)
        if isinstance(answers, bytes):
            return answers
        self.warning(f"secagg: {peer} gave no answer: {'silence' if reply is None else reply.get_return_code()}")
        return None

    def _vectors(self, rnd: Round[str], task: FlareTask, targets: list[str]) -> Iterator[tuple[str, bytes]]:
        self._arrived: SimpleQueue[tuple[str, Shareable]] = SimpleQueue()
        limits = self._settings.train_timeout, self._settings.grace
        self.broadcast(task, self.fl_ctx, targets, min_responses=len(targets))
        for peer, result in arriving(rnd, targets, self._arrived, limits, lambda: bool(self.abort_signal.triggered)):
            try:
                answers = answers_in(result, rnd.answer_limit)
            except WireError as refused:
                self.warning(f"secagg: {peer} brings no vector: {refused}")
                continue
            yield peer, answers
        self.cancel_task(task, fl_ctx=self.fl_ctx)

    def _process_result(self, client_task: ClientTask, fl_ctx: FLContext) -> None:
        """FLARE, in a thread of its own: whatever a site sends for the task."""
        self._arrived.put((client_task.client.name, client_task.result))
        client_task.result = None

    def _await_sites(self) -> None:
        """Wait until the jobs of all sites that FLARE knows are up; in the end, of as many as are needed."""
        until = time.monotonic() + self._settings.start_timeout
        while not self.abort_signal.triggered:
            names = self.sample_clients()
            asked = self.engine.send_aux_request(names, READY, Shareable(), 2.0, self.fl_ctx, optional=True)
            up = [reply for reply in asked.values() if reply.get_return_code() == ReturnCode.OK]
            late = time.monotonic() > until
            if len(up) >= self.num_clients and (late or len(up) == len(names)):
                return
            if late:
                raise StateError(
                    f"{len(up)} of {len(names)} sites are there after start_timeout={self._settings.start_timeout:g}: "
                    f"fewer than min_clients={self.num_clients}; their logs say why (simulator: leave num_threads out)"
                )
            time.sleep(POLL)
