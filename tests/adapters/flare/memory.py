"""Sites in memory, for a server that cheats: FLARE's own runner of a site's job, filter chains and messages' handlers,
with our parts from the site's own privacy.json. Only the wire and the server's job are left out.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from uuid import uuid4

import numpy as np
from nvflare.apis.dxo import DXO, DataKind, MetaKey, from_shareable
from nvflare.apis.event_type import EventType
from nvflare.apis.executor import Executor
from nvflare.apis.filter import Filter
from nvflare.apis.fl_constant import FilterKey
from nvflare.apis.fl_context import FLContext
from nvflare.apis.shareable import Shareable
from nvflare.apis.workspace import Workspace
from nvflare.app_common.app_constant import AppConstants
from nvflare.fuel.f3.cellnet.cell import Cell
from nvflare.fuel.f3.cellnet.defs import CellChannel, MessageHeaderKey
from nvflare.fuel.f3.message import Message
from nvflare.fuel.sec.audit import Auditor, AuditService
from nvflare.fuel.utils import fobs
from nvflare.private.fed.app.fl_conf import create_privacy_manager
from nvflare.private.fed.client.client_engine_executor_spec import TaskAssignment
from nvflare.private.fed.client.client_run_manager import ClientRunManager
from nvflare.private.fed.client.client_runner import ClientRunner, ClientRunnerConfig, TaskRouter
from nvflare.private.fed.client.command_agent import CommandAgent
from nvflare.private.fed.utils.fed_utils import fobs_initialize
from nvflare.private.privacy_manager import PrivacyService

from secagg.adapters import flare_parts
from secagg.adapters.flare.site import JOB_PART, DataFilter, Participant, ResultFilter
from secagg.adapters.flare.task import WEIGHT_KEY, Task, answers_in
from secagg.adapters.flare_origin import TOPIC
from secagg.round import Answers, Round, drive
from secagg.round.planned import Subject, planned_round
from secagg.round.settings import Settings
from secagg.round.updates import layout_of
from secagg_protocols import RoundContext

JOB = "job-of-this-test"
KNOBS = {"early_keys": False, "clip": 1.0, "weight_max": 100}
MODEL = {"weight": np.array([[1.0, 2.0], [3.0, 4.0]], np.float32), "bias": np.array([5.0], np.float32)}
LIMIT = 1 << 20


class Trainer(Executor):
    """A site's training: what the function makes of the arrays. weight: what it reports."""

    def __init__(self, function: Callable, weight: int) -> None:
        super().__init__()
        self.function, self.weight, self.calls = function, weight, 0

    def execute(self, task_name, shareable, fl_ctx, abort_signal):
        self.calls += 1
        after = self.function(from_shareable(shareable).data)
        meta = {MetaKey.NUM_STEPS_CURRENT_ROUND: self.weight, "secret": 42.0}
        return DXO(DataKind.WEIGHTS, after, meta).to_shareable()


class Site:
    """One site in one job. policy: what its policy.json holds; None: there is none. job: another run of the same site
    has another. privacy: its privacy.json, unless it has our parts alone. scope: the one that the job names."""

    def __init__(
        self,
        root: Path,
        trainer: Executor,
        policy: dict | None = None,
        job: str = JOB,
        privacy: dict | None = None,
        scope: str = "",
    ) -> None:
        self.name, self.trainer, self._root, self._job = root.name, trainer, root, job
        for folder in ("startup", "local/secagg", f"{job}"):
            (root / folder).mkdir(parents=True, exist_ok=True)
        (root / "local" / flare_parts.NAME).write_text(json.dumps(privacy or flare_parts.made()), encoding="utf-8")
        if policy is not None:
            (root / "local" / "secagg" / "policy.json").write_text(json.dumps(policy), encoding="utf-8")
        (root / job / "meta.json").write_text(json.dumps({"scope": scope}), encoding="utf-8")
        self._auditor = Auditor(str(root / "audit.log"))
        self._start(Workspace(str(root), self.name))

    def _start(self, workspace: Workspace) -> None:
        AuditService.the_auditor = self._auditor  # a process has one, and here it is several sites
        manager = create_privacy_manager(workspace, names_only=False)
        PrivacyService.initialize(manager)
        router = TaskRouter()
        router.add_executor(["train", "validate", "submit_model", "other"], self.trainer)
        config = ClientRunnerConfig(router, {}, {})
        for name, component in manager.components.items():
            config.add_component(name, component)
        client = SimpleNamespace(client_args={}, client_name=self.name)
        self._engine = ClientRunManager(self.name, self._job, workspace, client, config.components, config.handlers)
        # Never started. A process has one of a name.
        self._engine.cell = cell = Cell(f"{self.name}.{uuid4().hex}", "tcp://localhost:1", False, {})
        self._runner = ClientRunner({}, config, self._job, self._engine)
        with self._engine.new_context() as fl_ctx:
            CommandAgent(SimpleNamespace(cell=cell)).start(fl_ctx)
            self._engine.fire_event(EventType.START_RUN, fl_ctx)

    def add_job_filter(self, one: Filter) -> None:
        """Give the job a filter of its own for what goes to the trainer."""
        self._runner.task_data_filters[f"train{FilterKey.DELIMITER}{FilterKey.IN}"] = [one]

    def add_job_parts(self) -> None:
        """Let the job bring our parts, too."""
        self._runner.task_data_filters[f"train{FilterKey.DELIMITER}{FilterKey.IN}"] = [DataFilter()]
        self._runner.task_result_filters[f"train{FilterKey.DELIMITER}{FilterKey.OUT}"] = [ResultFilter()]
        self._engine.components[JOB_PART] = part = Participant()
        with self._engine.new_context() as fl_ctx:
            part.handle_event(EventType.START_RUN, fl_ctx)

    @property
    def audit(self) -> str:
        """What FLARE's audit log of the site says."""
        return (self._root / "audit.log").read_text(encoding="utf-8")

    def ask(self, request: bytes) -> bytes:
        """Ask it for a step, as the server; return its answers."""
        return carried(self.sent(Shareable({TOPIC: request}), f"server.{self._job}").payload)[TOPIC]

    def sent(self, message: Shareable, origin: str, topic: str = TOPIC) -> Message:
        """Send it an auxiliary message from somewhere; return the reply."""
        message = carried(message)
        message.set_peer_props({"__run_num__": self._job})
        AuditService.the_auditor = self._auditor
        headers = {MessageHeaderKey.ORIGIN: origin, MessageHeaderKey.TOPIC: topic}
        hears = self._engine.cell.core_cell.req_reg.find(CellChannel.AUX_COMMUNICATION, topic)
        return hears.cb(Message(headers, message), *hears.args, **hears.kwargs)

    def task(self, data: Shareable, name: str = "train") -> Shareable:
        """Give it a task, as its runner gets it; return what leaves."""
        AuditService.the_auditor = self._auditor
        server = FLContext()
        server.set_prop("__run_num__", self._job, private=False)
        with self._engine.new_context() as fl_ctx:
            fl_ctx.set_peer_context(server)
            assignment = TaskAssignment(name, f"{name}-{id(data)}", carried(data))
            reply = self._runner._process_task(assignment, fl_ctx)
            self._runner.fire_event(EventType.BEFORE_SEND_TASK_RESULT, fl_ctx)
        return carried(reply)


def carried(shareable: Shareable) -> Shareable:
    """Return what arrives of it."""
    fobs_initialize()
    return fobs.loads(fobs.dumps(shareable))


def train_task(arrays: dict, number: int, rounds: int = 5) -> Shareable:
    """Return a train task as FLARE's controllers make it."""
    task = DXO(DataKind.WEIGHTS, dict(arrays), {}).to_shareable()
    headers = {AppConstants.START_ROUND: 0, AppConstants.CURRENT_ROUND: number, AppConstants.NUM_ROUNDS: rounds}
    for name, value in headers.items():
        task.set_header(name, value)
    return task


def moved(arrays, by):
    return {name: np.asarray(values) + np.float32(by) for name, values in arrays.items()}


class Server:
    """A server's job, as far as it goes wrong. sites: by name."""

    def __init__(self, memory, sites, job=None) -> None:
        self.memory, self.sites, self.job = memory, sites, job or JOB

    def round(self, number=0, model=None, **knobs):
        """Plan a round of all sites; return it and its task."""
        task = train_task(MODEL if model is None else model, number)
        about = Task.of(carried(task))
        received = RoundContext(f"flare job {self.job}", number, about.received)
        subject = Subject(received, layout_of(about.arrays), [], True, WEIGHT_KEY)
        settings = Settings.of({**KNOBS, **knobs})
        planned = planned_round(settings, subject, len(self.sites), datetime.now(UTC))
        return Round(planned.server, planned.proposal, sorted(self.sites)), task

    def run(self, rnd, tasks):
        """Run a round; return its total. tasks: for each site, or one for all."""

        def exchange(requests, uploads):
            for peer, request in requests.items():
                yield peer, self.sites[peer].ask(request)
            if uploads:
                for peer in sorted(requests):
                    reply = self.sites[peer].task(tasks.get(peer, tasks[None]))
                    if "DXO" in reply:
                        yield peer, answers_in(reply, LIMIT)

        return drive(rnd, exchange)

    def first_answers(self, rnd):
        """Ask for the first step; return why each site refuses, empty where it does not."""
        return {peer: reason(self.sites[peer].ask(request)) for peer, request in rnd.begin().items()}


def reason(answers) -> str:
    return Answers.from_bytes(answers, LIMIT).refusal
