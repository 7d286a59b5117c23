"""The aggregator's side: FLARE's FedAvg, its rounds secure sums.

Keys, shares and unmasking go by auxiliary messages, not by FLARE's multicast, which fails with a timeout; the model in
one task, the same for all. FLARE counts error replies among the responses: the waiting is our own.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nvflare.apis.controller_spec import ClientTask
from nvflare.apis.fl_constant import ReturnCode
from nvflare.apis.fl_context import FLContext
from nvflare.apis.shareable import Shareable
from nvflare.apis.utils.fl_context_utils import add_job_audit_event
from nvflare.app_common.abstract.fl_model import FLModel, ParamsType
from nvflare.app_common.workflows.fedavg import FedAvg

from secagg.adapters.flare_origin import READY, TOPIC
from secagg.round.averaging import Averaging
from secagg.round.pushing import Arrived, PushSettings, await_peers
from secagg_protocols import RoundContext

from .site import FOLDER, job_name
from .task import WEIGHT_KEY, Task, answers_in


class SecAggController(FedAvg):  # type: ignore[misc]  # nvflare is not type-checked here
    """knobs: `PushSettings.of`; their files are relative to the server's `local/secagg`. The others are FedAvg's."""

    def __init__(self, *args: Any, knobs: dict[str, Any], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.knobs = knobs  # FLARE exports an argument from the attribute of its name

    def run(self) -> None:
        """FLARE: the training. Raises `TrainingFailed` where it stopped, or no round gave a model."""
        folder = Path(self.engine.get_workspace().get_site_config_dir()) / FOLDER
        settings = PushSettings.of({"early_keys": False, **self.knobs}, folder)
        self._averaging = Averaging(settings, WEIGHT_KEY)
        await_peers(self._there, self.num_clients, self, settings)
        super().run()
        self._averaging.end(self)

    def sample_clients(self, num_clients: int | None = None) -> list[str]:
        """FLARE: who is asked in a round: everybody."""
        return sorted(client.name for client in self.engine.get_clients())

    def send_model(self, task_name: str, targets: list[str], data: FLModel, callback: object) -> None:
        """FLARE: one round, which is over when this returns. Raises `TrainingFailed` where no further one is run."""
        self.set_fl_context(data)
        self._task = self._prepare_task(data, task_name, 0, None)
        about = Task.of(self._task.data)
        received = RoundContext(job_name(self.fl_ctx), self.current_round, about.received)
        done = self._averaging.round(received, about.arrays, targets, self)
        add_job_audit_event(fl_ctx=self.fl_ctx, msg=f"secagg {done.outcome}")
        self._result = FLModel(ParamsType.FULL, done.arrays, metrics=done.metrics or None, meta=dict(data.meta))

    def _get_aggregated_result(self) -> FLModel:
        return self._result

    def stopped(self) -> bool:
        """Whether the job was aborted."""
        return bool(self.abort_signal.triggered)

    def ask(self, peer: str, request: bytes, seconds: float) -> bytes | str:
        """Ask one site for one step."""
        replies = self.engine.send_aux_request([peer], TOPIC, Shareable({TOPIC: request}), seconds, self.fl_ctx)
        reply = replies.get(peer, Shareable())
        answers = reply.get(TOPIC)
        return answers if isinstance(answers, bytes) else str(reply.get_return_code("silence"))[:40]

    def send(self, peers: Sequence[str], limit: int, arrived: Arrived) -> None:
        """Send the round's task."""
        self._arrived, self._limit = arrived, limit
        self.broadcast(self._task, self.fl_ctx, peers, min_responses=len(peers))

    def close(self) -> None:
        """Cancel it: a site that is not done sees that, and sends nothing."""
        self.cancel_task(self._task, fl_ctx=self.fl_ctx)

    def _process_result(self, client_task: ClientTask, fl_ctx: FLContext) -> None:
        self._arrived.put((client_task.client.name, answers_in(client_task.result, self._limit)))
        client_task.result = None

    def _there(self) -> tuple[int, int]:
        names = self.sample_clients()
        replies = self.engine.send_aux_request(names, READY, Shareable(), 2.0, self.fl_ctx, optional=True)
        return sum(one.get_return_code() == ReturnCode.OK for one in replies.values()), len(names)
