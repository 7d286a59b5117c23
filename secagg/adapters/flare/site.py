"""The participant's side: a component that answers every step but the vector, and two filters around the trainer, which
fail closed: plain `Filter`s, since a `DXOFilter` passes on unchanged whatever it does not know."""

from pathlib import Path

from nvflare.apis.event_type import EventType
from nvflare.apis.filter import Filter
from nvflare.apis.fl_component import FLComponent
from nvflare.apis.fl_constant import FLContextKey, ProcessType, ReturnCode
from nvflare.apis.fl_context import FLContext
from nvflare.apis.shareable import Shareable, make_reply
from nvflare.apis.utils.fl_context_utils import add_job_audit_event

from secagg.adapters import flare_parts
from secagg.adapters.flare_origin import TOPIC, listen
from secagg.round.participation import Participation
from secagg.round.request import one_line
from secagg_protocols import ProtocolViolation, SecAggError, StateError

from .task import ROUND, TRAIN, VALIDATE, Task, answering, validated

FOLDER, JOB_PART, _DUE, _SEEN = "secagg", "secagg_job", "secagg.due", "secagg.seen"


class Participant(FLComponent):  # type: ignore[misc]  # nvflare is not type-checked here
    """One site in one job; what a job brings steps aside where the site has its own."""

    participation: Participation | None = None

    def handle_event(self, event_type: str, fl_ctx: FLContext) -> None:
        """FLARE: a job begins; a task does, with what a job's filters left of it; it is over, whatever became of it."""
        if event_type == EventType.BEFORE_TASK_EXECUTION and fl_ctx.get_prop(_DUE) is not None:
            seen = Task.of(fl_ctx.get_prop(FLContextKey.TASK_DATA)).received
            fl_ctx.set_prop(_SEEN, seen, private=True, sticky=False)
        if event_type == EventType.BEFORE_SEND_TASK_RESULT and self.participation is not None:
            self.participation.end(fl_ctx.get_prop(FLContextKey.TASK_ID))
        if event_type != EventType.START_RUN or _participant(fl_ctx) is not self:
            return
        engine = fl_ctx.get_engine()
        local = Path(engine.get_workspace().get_site_config_dir())
        try:
            flare_parts.check_own(local, self, engine, fl_ctx.get_prop(FLContextKey.SCOPE_OBJECT))
            self.participation = Participation.load(local / FOLDER / flare_parts.POLICY, job_name(fl_ctx))
        except SecAggError as refused:
            fl_ctx.set_job_is_unsafe()  # no task is done, where no filter of ours would be in its way
            self.system_panic(_told(fl_ctx, refused), fl_ctx)
            return
        listen(engine, self.answer)

    def answer(self, topic: str, request: Shareable, fl_ctx: FLContext) -> Shareable:
        """FLARE: one step of a round."""
        assert self.participation is not None  # else nobody registered this
        reply = make_reply(ReturnCode.OK)
        reply[TOPIC], reason = self.participation.answer(request.get(TOPIC))
        _told(fl_ctx, reason, "answered a step")
        return reply


class _SiteFilter(Filter):  # type: ignore[misc]  # nvflare is not type-checked here
    """The last of its chain, in every scope. Where a job brings another one, that finds the work done."""

    def process(self, shareable: Shareable, fl_ctx: FLContext) -> Shareable:
        """FLARE: what goes to a task's executor, or comes from it. What this raises leaves as a bare return code."""
        here, kind = _participant(fl_ctx), type(self).__name__
        if here is None or fl_ctx.get_prop(kind) is shareable:
            return shareable
        task = fl_ctx.get_prop(FLContextKey.TASK_NAME)
        try:
            if here.participation is None:
                raise StateError("this site has filters, and no participant that began: see its privacy.json")
            if task not in (TRAIN, VALIDATE):
                raise ProtocolViolation(f"task {str(task)[:40]!r} is neither train nor validate")
            passed = self._passed(task, here.participation, shareable, fl_ctx)
        except SecAggError as refused:
            _told(fl_ctx, refused)
            raise
        fl_ctx.set_prop(kind, passed, private=True, sticky=False)
        return passed


class DataFilter(_SiteFilter):
    """Lets train tasks through that their round is about. FLARE fetches large arrays for filters alone."""

    def _passed(self, task: str, here: Participation, shareable: Shareable, fl_ctx: FLContext) -> Shareable:
        if task == VALIDATE:
            here.check_trusts_server()
            return shareable
        about = Task.of(shareable)
        due = here.begin(fl_ctx.get_prop(FLContextKey.TASK_ID), about.headers[ROUND], about.arrays, about.received)
        fl_ctx.set_prop(_DUE, (due, about), private=True, sticky=False)
        _told(fl_ctx, "", "lets train on the agreed model")
        return about.for_trainer(shareable)


class ResultFilter(_SiteFilter):
    """Puts the mask on: a fresh Shareable leaves, of a step's envelopes, a validation's numbers or a failure's code."""

    def _passed(self, task: str, here: Participation, shareable: Shareable, fl_ctx: FLContext) -> Shareable:
        if (code := shareable.get_return_code()) != ReturnCode.OK:
            return make_reply(code if code in vars(ReturnCode) else ReturnCode.EXECUTION_EXCEPTION)
        if task == VALIDATE:
            return validated(shareable)
        if (held := fl_ctx.get_prop(_DUE)) is None:
            raise ProtocolViolation("a result of a task that this site did not accept: nothing of it leaves")
        due, about = held
        answers = due.give(lambda: about.trained(shareable), fl_ctx.get_prop(_SEEN, b""))
        _told(fl_ctx, due.reason, "masked a vector")
        return answering(answers)


def job_name(fl_ctx: FLContext) -> str:
    """Return what both sides call a job: a round's number counts within it."""
    return f"flare job {fl_ctx.get_job_id()}"


def _participant(fl_ctx: FLContext) -> Participant | None:
    """Return the site's own, else a job's, else one that never began; None at the server (the simulator's has both)."""
    if fl_ctx.get_process_type() == ProcessType.SERVER_JOB:
        return None
    found = map(fl_ctx.get_engine().get_component, (flare_parts.COMPONENT, JOB_PART))
    return next((one for one in found if isinstance(one, Participant)), Participant())


def _told(fl_ctx: FLContext, refused: SecAggError | str, done: str = "") -> str:
    """Write into the job's audit log what is refused, or where nothing is, what is done; return it."""
    reason = one_line(f"{type(refused).__name__}: {refused}" if isinstance(refused, SecAggError) else refused)
    add_job_audit_event(fl_ctx=fl_ctx, msg=f"secagg refused: {reason}" if reason else f"secagg {done}")
    return f"secagg: {reason}"
