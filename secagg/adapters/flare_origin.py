"""Whom a site's job listens to: the server alone.

FLARE carries auxiliary messages from client to client, tasks among them. So one site could play the server to another,
and where a scheme is semi-honest, a server that cheats reads a vector by itself.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nvflare.apis.fl_constant import ReservedTopic, ReturnCode
from nvflare.apis.shareable import Shareable, make_reply
from nvflare.fuel.f3.cellnet.defs import CellChannel, MessageHeaderKey
from nvflare.fuel.f3.cellnet.defs import ReturnCode as CellCode
from nvflare.fuel.f3.cellnet.fqcn import FqcnInfo
from nvflare.fuel.f3.cellnet.utils import make_reply as make_cell_reply

TOPIC, READY = "secagg", "secagg.ready"


def listen(engine: Any, answer: Callable[..., Shareable]) -> None:
    """Register what answers the steps, at a site; and say that it is there. What other sites send there, or as a
    task, is refused. Where a message is from, FLARE's server checks of each client's."""
    engine.register_aux_message_handler(TOPIC, answer)
    engine.register_aux_message_handler(READY, lambda topic, request, fl_ctx: make_reply(ReturnCode.OK))
    cell = engine.get_cell()
    for topic in (TOPIC, ReservedTopic.DO_TASK):
        all_hear = cell.core_cell.req_reg.find(CellChannel.AUX_COMMUNICATION, topic).cb
        cell.register_request_cb(channel=CellChannel.AUX_COMMUNICATION, topic=topic, cb=_heard, all_hear=all_hear)


def _heard(message: Any, all_hear: Callable[[Any], Any]) -> Any:
    if FqcnInfo(message.get_header(MessageHeaderKey.ORIGIN, "")).is_on_server:
        return all_hear(message)
    return make_cell_reply(CellCode.UNAUTHENTICATED, "secagg: only the server may ask for this")
