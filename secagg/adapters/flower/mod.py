"""The participant's side: a Flower mod. It fails closed: no update leaves but as a step of the protocol."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from logging import ERROR, WARNING
from typing import Any

import numpy as np
from flwr.app import ArrayRecord, Context, Error, Message, MessageType, RecordDict
from flwr.clientapp.typing import ClientAppCallable
from flwr.common.constant import ErrorCode
from flwr.common.logger import log
from numpy.typing import NDArray

from secagg_protocols import (
    DurableClient,
    ProtocolViolation,
    RoundContext,
    Scheme,
    SecAggError,
    StateError,
)

from .encoding import Arrays, arrays_of, check_round, context_digest, layout_of, update, weight_and_metrics, with_guard
from .policy import NodePolicy
from .records import Proposal, Request, guard_bits, sole, strip, write_answer
from .state import ContextStore, keep_ahead, turn_to

_OPEN = (MessageType.EVALUATE, MessageType.QUERY)
"""What passes through. Not the legacy API's get_parameters: it asks for a site's own model."""


def secagg_mod(msg: Message, context: Context, call_next: ClientAppCallable) -> Message:
    """Take one step of secure aggregation. Participant; put it first: `ClientApp(mods=[secagg_mod, …])`.

    Covers `train` and every `train.<action>`; `evaluate` and `query` pass through, and nothing else does. A refusal is
    an error reply that names what was refused; training that raises raises through, and either way this participant is
    a dropout of the round.
    """
    category = msg.metadata.message_type.partition(".")[0]
    if category in _OPEN:
        return call_next(msg, context)
    try:
        if category != MessageType.TRAIN:
            raise ProtocolViolation(f"message type {msg.metadata.message_type!r} is neither train, evaluate nor query")
        return _answer(msg, context, call_next)
    except SecAggError as refused:
        reason = f"{type(refused).__name__}: {refused}"
        log(ERROR, "secagg_mod: %s", reason)
        return Message(Error(code=ErrorCode.MOD_FAILED_PRECONDITION, reason=reason), reply_to=msg)


def job_name(run_id: int) -> str:
    """Return what both sides call a run: a round's number counts within it."""
    return f"flower run {run_id}"


def _answer(msg: Message, context: Context, call_next: ClientAppCallable) -> Message:
    request = Request.read(msg.content)
    proposal, content = request.proposal, strip(msg.content)
    node = NodePolicy.read(context.node_config)
    scheme = node.accept(proposal)
    if not proposal.with_run_config:  # what is not in the digest could be another for every node: nobody trains by it
        context = replace(context, run_config={})
    model = _checked_model(content, msg.metadata.message_type, proposal, scheme, context)
    store = node.store or ContextStore(context.state)
    take_part = partial(
        DurableClient,
        store,
        scheme,
        node.participant(scheme, request.participant),
        identity=node.identity if scheme.active else None,
        roster=node.roster if scheme.active else None,
        policy=node.floor,
        group_key=node.group_key,
        now=datetime.now(UTC),
    )
    job = job_name(context.run_id)
    client = take_part(RoundContext(job, proposal.round, proposal.context_digest))
    if request.envelopes:
        answers = [answer for data in request.envelopes for answer in client.receive(data)]
    else:
        answers = client.start()
    turn_to(client.session, context.state, store)  # not before: what is refused must not end a session
    if client.awaits_vector:
        if model is None:
            raise StateError("the vector is due, but the message brought no model to train")
        msg.content = content
        vector = _train(msg, context, call_next, model, proposal)
        answers += client.contribute(with_guard(vector, scheme))
    elif model is not None:
        raise StateError("the message brought a model to train, but the vector is not due in this step")
    if scheme.early_keys and proposal.ahead and node.early_keys and client.done:
        answers += _keys_ahead(take_part, job, proposal.round + 1, context)
    return Message(write_answer(answers), reply_to=msg)


def _keys_ahead(
    take_part: Callable[[RoundContext], DurableClient], job: str, number: int, context: Context
) -> list[bytes]:
    """Return this participant's keys for the next round. This round's answer must leave whatever becomes of them."""
    try:
        client = take_part(RoundContext(job, number, b""))
        keep_ahead(client.session, context.state)
        return client.start()
    except (OSError, SecAggError) as failed:
        log(WARNING, "secagg_mod: no keys for the next round: %s", failed)
        return []


def _checked_model(
    content: RecordDict, kind: str, proposal: Proposal, scheme: Scheme, context: Context
) -> Arrays | None:
    """Return the model in a message, if it is the one that the round is about. Raises `ProtocolViolation`."""
    if not content.array_records:
        return None
    _, record = sole(content.array_records, "ArrayRecord")
    assert isinstance(record, ArrayRecord)
    arrays = arrays_of(record)
    codec = proposal.codec.codec(layout_of(arrays))
    if (codec.length, codec.value_bits + guard_bits(scheme)) != (scheme.length, scheme.value_bits):
        raise ProtocolViolation(
            f"the model gives {codec.length} values of {codec.value_bits} bits, the proposed scheme sums "
            f"{scheme.length} of {scheme.value_bits}"
        )
    check_round(content, proposal.round)
    settings = context.run_config if proposal.with_run_config else None
    seen = context_digest(content, arrays, kind, codec.digest, proposal.codec.weight_key, settings)
    if seen != proposal.context_digest:
        raise ProtocolViolation(
            "the model and configuration are not those of the context digest that the round was opened with: no update "
            "leaves for another model than everyone else's"
        )
    return arrays


def _train(
    msg: Message, context: Context, call_next: ClientAppCallable, received: Arrays, proposal: Proposal
) -> NDArray[np.unsignedinteger[Any]]:
    """Let the ClientApp train, and encode what it changed. Its reply goes no further."""
    reply = call_next(msg, context)
    if reply.has_error():
        raise StateError(f"training gave an error: {reply.error.reason}")
    _, trained = sole(reply.content.array_records, "ArrayRecord")
    assert isinstance(trained, ArrayRecord)
    codec = proposal.codec.codec(layout_of(received))
    weight, metrics = weight_and_metrics(reply.content, proposal.codec)
    encoded = codec.encode(update(received, trained), weight=weight, metrics=metrics)
    if encoded.clipped:
        log(WARNING, "secagg: %d values were out of range and clipped (knob: clip)", encoded.clipped)
    return encoded.vector
