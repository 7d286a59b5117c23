"""The participant's side: a component that answers every step but the vector, and two filters around the trainer.

The filters fail closed. They are plain `Filter`s: a `DXOFilter` passes on unchanged whatever it does not know.
"""

from __future__ import annotations

import threading
from pathlib import Path

from nvflare.apis.event_type import EventType
from nvflare.apis.filter import Filter
from nvflare.apis.fl_component import FLComponent
from nvflare.apis.fl_constant import FilterKey, FLContextKey, ProcessType, ReturnCode
from nvflare.apis.fl_context import FLContext
from nvflare.apis.shareable import Shareable, make_reply
from nvflare.apis.utils.fl_context_utils import add_job_audit_event
from nvflare.private.privacy_manager import PrivacyService

from secagg.round import Answers, MemoryStore, Site, SitePolicy, Turn
from secagg.round.contribution import Contribution
from secagg_protocols import ParameterError, ProtocolViolation, RoundContext, SecAggError, StateError

from .task import TRAIN, VALIDATE, Task, answering, job_name, validated

TOPIC, READY = "secagg", "secagg.ready"
REQUEST, ANSWERS = "request", "answers"
SITE_PART, JOB_PART = "secagg", "secagg_job"
"""The participant as a component of the site's own privacy.json, and as one that a job brings."""
FOLDER, POLICY = "secagg", "policy.json"
"""A site's own files, in its `local` folder."""

_DUE, _LEFT = "secagg.due", "secagg.left"
_CODES = frozenset(value for name, value in vars(ReturnCode).items() if name.isupper())


class Participant(FLComponent):  # type: ignore[misc]  # nvflare is not type-checked here
    """One site in one job; what a job brings steps aside where the site has its own. training: task → its round."""

    def __init__(self) -> None:
        super().__init__()
        self.turn: Turn | None = None
        self.training: dict[str, RoundContext] = {}
        self._site: Site | None = None
        self._lock = threading.Lock()

    def handle_event(self, event_type: str, fl_ctx: FLContext) -> None:
        """FLARE: a job begins; a result is about to leave, and its task is over, whatever became of it."""
        if event_type == EventType.START_RUN and _at_site(fl_ctx) and _participant(fl_ctx) is self:
            self._start(fl_ctx)
        elif event_type == EventType.BEFORE_SEND_TASK_RESULT:
            self.training.pop(fl_ctx.get_prop(FLContextKey.TASK_ID), None)

    def _start(self, fl_ctx: FLContext) -> None:
        engine = fl_ctx.get_engine()
        try:
            _check_scopes(self)
            policy = SitePolicy.load(Path(engine.get_workspace().get_site_config_dir()) / FOLDER / POLICY)
        except SecAggError as refused:
            self.system_panic(_told(self, fl_ctx, refused), fl_ctx)
            return
        self._site = Site(policy, MemoryStore(), job_name(fl_ctx), policy.codec_terms, check_free=self._check_free)
        engine.register_aux_message_handler(TOPIC, self.answer)
        engine.register_aux_message_handler(READY, lambda topic, request, fl_ctx: make_reply(ReturnCode.OK))

    def _check_free(self, context: RoundContext) -> None:
        """Raise while a task of another round runs: messages are answered then, and nobody could train."""
        for held in list(self.training.values()):
            if held != context:
                raise StateError(f"this site still trains for round {held.round}, and would bring no vector in time")

    def answer(self, topic: str, request: Shareable, fl_ctx: FLContext) -> Shareable:
        """FLARE: one step of a round."""
        assert self._site is not None  # else nobody registered this
        given = request.get(REQUEST)
        with self._lock:
            turn = self._site.take(given if isinstance(given, bytes) else b"")
            if turn.seat is not None:
                self.turn = turn
        add_job_audit_event(fl_ctx=fl_ctx, msg=f"secagg answers: {turn.reason or 'a step'}")
        reply = make_reply(ReturnCode.OK)
        # What there is to say beside a vector goes along with it.
        reply[ANSWERS] = Answers().to_bytes() if turn.awaits_vector else turn.answers
        return reply


class _SiteFilter(Filter):  # type: ignore[misc]  # nvflare is not type-checked here
    """The last of its chain in every scope. Where a job brings another one, that finds the work done."""

    def process(self, shareable: Shareable, fl_ctx: FLContext) -> Shareable:
        """FLARE: what goes to the executor of a task, or comes from it. What this raises becomes a return code."""
        if not _at_site(fl_ctx):
            return shareable
        task = fl_ctx.get_prop(FLContextKey.TASK_NAME)
        try:
            if (participant := _participant(fl_ctx)) is None:
                raise StateError("this site has filters and no participant: see its privacy.json")
            if task not in (TRAIN, VALIDATE):
                raise ProtocolViolation(f"task {str(task)[:40]!r} is neither train nor validate")
            return self._passed(task, participant, shareable, fl_ctx)
        except SecAggError as refused:
            _told(self, fl_ctx, refused)
            raise

    def _passed(self, task: str, participant: Participant, shareable: Shareable, fl_ctx: FLContext) -> Shareable:
        raise NotImplementedError


class DataFilter(_SiteFilter):
    """Lets train tasks through to the trainer that are what the round is about, and keeps what it will see.

    It has to be a filter: with a trainer in its own process FLARE fetches large arrays for filters alone.
    """

    def _passed(self, task: str, participant: Participant, shareable: Shareable, fl_ctx: FLContext) -> Shareable:
        due = fl_ctx.get_prop(_DUE)
        if task == VALIDATE or (due is not None and due[-1] is shareable):
            return shareable
        turn = participant.turn
        if turn is None or turn.seat is None or not turn.awaits_vector:
            raise ProtocolViolation(
                "a train task without a step of the protocol: this site gives no update outside secure aggregation, "
                "see SecAggRecipe"
            )
        about = Task.of(shareable)
        about.check_round(turn.seat.proposal.round)
        contribution = Contribution(turn, about.arrays, about.received)
        participant.training[fl_ctx.get_prop(FLContextKey.TASK_ID)] = turn.seat.proposal.context
        handed = about.for_trainer(shareable)
        fl_ctx.set_prop(_DUE, (contribution, about, handed), private=True, sticky=False)
        return handed


class ResultFilter(_SiteFilter):
    """Puts the mask on: what leaves is a fresh Shareable with a step's envelopes, with a validation's numbers, or with
    the bare code of a failure. A site's own filters act before it."""

    def _passed(self, task: str, participant: Participant, shareable: Shareable, fl_ctx: FLContext) -> Shareable:
        if fl_ctx.get_prop(_LEFT) is shareable:
            return shareable
        left = self._leaves(task, shareable, fl_ctx)
        fl_ctx.set_prop(_LEFT, left, private=True, sticky=False)
        return left

    def _leaves(self, task: str, shareable: Shareable, fl_ctx: FLContext) -> Shareable:
        if (code := shareable.get_return_code()) != ReturnCode.OK:
            return make_reply(code if code in _CODES else ReturnCode.EXECUTION_EXCEPTION)
        if task == VALIDATE:
            return validated(shareable)
        if (due := fl_ctx.get_prop(_DUE)) is None:
            raise ProtocolViolation("a result of a task that this site did not accept: nothing of it leaves")
        contribution, about, _ = due
        answers = contribution.give(lambda: about.trained(shareable))
        add_job_audit_event(fl_ctx=fl_ctx, msg=f"secagg vector: {contribution.turn.reason or 'masked'}")
        return answering(answers)


def _at_site(fl_ctx: FLContext) -> bool:
    """Tell whether this is a site's process: the simulator gives the server the same privacy.json."""
    return bool(fl_ctx.get_process_type() == ProcessType.CLIENT_JOB)


def _participant(fl_ctx: FLContext) -> Participant | None:
    """Return the participant of this process: the site's own before one that a job brought."""
    found = map(fl_ctx.get_engine().get_component, (SITE_PART, JOB_PART))
    return next((one for one in found if isinstance(one, Participant)), None)


def _told(component: FLComponent, fl_ctx: FLContext, refused: SecAggError) -> str:
    """Say what is refused, in the job's audit log and the site's own; return it."""
    said = f"secagg refused: {type(component).__name__}: {type(refused).__name__}: {refused}"
    add_job_audit_event(fl_ctx=fl_ctx, msg=said)
    component.log_error(fl_ctx, said)
    return said


def _check_scopes(participant: Participant) -> None:
    """Raise `ParameterError` where this participant is the site's own, and a scope of its privacy.json goes without our
    filters: a job chooses its scope by name."""
    manager = PrivacyService.get_manager()
    if manager is None or (manager.components or {}).get(SITE_PART) is not participant:
        return
    for name, scope in sorted(manager.name_to_scopes.items()):
        chains = {DataFilter: scope.task_data_filters[FilterKey.IN]}
        chains[ResultFilter] = scope.task_result_filters[FilterKey.OUT]
        for kind, chain in chains.items():
            if not chain or not isinstance(chain[-1], kind):
                raise ParameterError(
                    f"scope {name!r} of privacy.json does not end with {kind.__name__}: jobs ask for it"
                )
