"""The participant's side: a Flower mod. It fails closed: no update leaves but as a step of the protocol."""

from __future__ import annotations

from dataclasses import replace
from logging import ERROR

from flwr.app import Context, Error, Message, MessageType
from flwr.clientapp.typing import ClientAppCallable
from flwr.common.constant import ErrorCode
from flwr.common.logger import log

from secagg.round import CodecTerms, Site, SitePolicy, Turn
from secagg.round.audit import model_digest
from secagg.round.context import Unbound
from secagg.round.site import Seat, Vector
from secagg.round.updates import change, vector_of
from secagg_protocols import ProtocolViolation, SecAggError, StateError

from .encoding import RUN_CONFIG, Task
from .records import arrays_in, read, sole, strip, write
from .state import ContextStore

_OPEN = (MessageType.EVALUATE, MessageType.QUERY)
"""What passes through, where the site trusts the server. Not the legacy API's get_parameters: it asks for a site's own
model."""
_BIND = "in the ServerApp, make SecAgg.from_config(strategy, context.run_config)"


def secagg_mod(msg: Message, context: Context, call_next: ClientAppCallable) -> Message:
    """Take one step of secure aggregation. Participant; put it first: `ClientApp(mods=[secagg_mod, …])`.

    Covers `train` and every `train.<action>`; `evaluate` and `query` pass through at a node whose policy trusts the
    server (`SitePolicy.check_trusts_server`), and nothing else does. A refusal is an error reply that names what was
    refused; training that raises raises through, and either way this participant is a dropout of the round.
    """
    category = msg.metadata.message_type.partition(".")[0]
    reason = ""
    try:
        if category in _OPEN:
            _policy(context).check_trusts_server()
        elif category != MessageType.TRAIN:
            raise ProtocolViolation(f"message type {msg.metadata.message_type!r} is neither train, evaluate nor query")
        else:
            turn = _answered(msg, context, call_next)
            reason = turn.reason
    except SecAggError as refused:
        reason = f"{type(refused).__name__}: {refused}"
        log(ERROR, "secagg_mod: %s", reason)
    if reason:
        return Message(Error(code=ErrorCode.MOD_FAILED_PRECONDITION, reason=reason), reply_to=msg)
    return call_next(msg, context) if category in _OPEN else Message(write(turn.answers), reply_to=msg)


def _policy(context: Context) -> SitePolicy:
    """Return what node_config says: alone its own, as the SuperLink ships all else."""
    return SitePolicy.read(context.node_config, where="node_config")


def job_name(run_id: int) -> str:
    """Return what both sides call a run: a round's number counts within it."""
    return f"flower run {run_id}"


def _answered(msg: Message, context: Context, call_next: ClientAppCallable) -> Turn:
    """Let the site take the step; train, where a vector is due. Raises what is wrong with the message's own content, or
    with what training gave."""
    try:
        request = read(msg.content)
    except ProtocolViolation as missing:
        raise ProtocolViolation(
            f"a train message without a step of the protocol ({missing}): this ClientApp gives no update outside "
            "secure aggregation; wrap the strategy: SecAgg(strategy)"
        ) from None
    policy = _policy(context)
    site = Site(policy, ContextStore(context.state), job=job_name(context.run_id), terms=policy.codec_terms)
    turn = site.take(request)
    if turn.seat is None:
        return turn
    content = strip(msg.content)
    if turn.awaits_vector != bool(content.array_records):
        due = "is due, but the message brought no model" if turn.awaits_vector else "is not due, but a model came"
        turn.refuse(StateError(f"the vector {due}"))
    if turn.refused or not turn.awaits_vector:
        return turn
    msg.content = content
    bound = RUN_CONFIG in turn.seat.proposal.bound
    if not bound:  # it could be another for every node: nobody trains by it
        context = replace(context, run_config=Unbound(context.run_config, _BIND))
    try:
        task = Task.of(content, msg.metadata.message_type, context.run_config if bound else None)
        turn.contribute(_vector(turn.seat, task, msg, context, call_next), task.digest, model_digest(task.arrays))
    except SecAggError as refused:  # another model, or a training that went wrong: the node's own record has it too
        turn.refuse(refused)
        raise
    return turn


def _vector(seat: Seat, task: Task, msg: Message, context: Context, call_next: ClientAppCallable) -> Vector:
    """Let the ClientApp train, if this is the model that the round is about, and encode what it changed. Its reply goes
    no further."""
    task.check_round(seat.proposal.round)
    seat.check_model(task.arrays, task.digest)
    reply = call_next(msg, context)
    if reply.has_error():
        raise StateError(f"training gave an error: {reply.error.reason}")
    _, trained = sole(reply.content.array_records, "ArrayRecord")
    _, reported = sole(reply.content.metric_records, "MetricRecord")
    terms = CodecTerms.from_bytes(seat.proposal.terms)
    return vector_of(change(task.arrays, arrays_in(trained)), reported, terms, seat.scheme)
