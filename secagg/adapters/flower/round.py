"""One secure round over a Grid: `secagg.round.Round`, with Flower's messages between its steps."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from logging import INFO, WARNING

from flwr.app import Error, Message, RecordDict
from flwr.common.constant import ErrorCode
from flwr.common.logger import log
from flwr.serverapp import Grid

from secagg.round import Round
from secagg.round.request import Requests
from secagg_protocols import Output, SecAggError

from .records import read, write


class GridRound:
    """A round and its messages. templates: the inner strategy's messages, one per node. stage_timeout: in seconds, for
    the steps before and after the one with the vectors.

    `open` runs the steps before the vectors are due; its messages ask for them. `close` takes the replies and runs the
    rest. Both raise `RoundFailed`; `heard` is then what a node said last, instead of an answer.
    """

    def __init__(self, rnd: Round[int], templates: Sequence[Message], grid: Grid, stage_timeout: float) -> None:
        self.round = rnd
        self.heard = ""
        self._grid = grid
        self._timeout = stage_timeout
        self._templates = {message.metadata.dst_node_id: message for message in templates}
        self._messages: Sequence[Message] = ()
        self._since = time.monotonic()

    def open(self) -> list[Message]:
        """Run the steps before the vectors are due; return the messages that ask for them, model included."""
        requests = self.round.begin()
        if ahead := len(self._templates) - len(requests):
            log(INFO, "secagg: %s: %d came ahead", self.round.step, ahead)
        while not self.round.uploads:
            requests = self._exchange(requests)
        return self._send(requests, model=True)

    def close(self, replies: Iterable[Message]) -> Output:
        """Take the replies that carry the vectors, run the remaining steps, return the sum."""
        requests = self._advance(replies)
        while self.round.output is None:
            requests = self._exchange(requests)
        return self.round.output

    def _exchange(self, requests: Requests[int]) -> Requests[int]:
        messages = self._send(requests)
        return self._advance(self._grid.send_and_receive(messages, timeout=self._timeout) if messages else [])

    def _send(self, requests: Requests[int], model: bool = False) -> list[Message]:
        """Make the messages of one step; a list, because Flower goes through it twice."""
        messages = []
        for node in requests:
            template = self._templates[node]
            content = write(requests[node], template.content if model else RecordDict())
            kind = template.metadata.message_type
            group = template.metadata.group_id
            group = group or str(self.round.proposal.round)
            messages.append(Message(content, dst_node_id=node, message_type=kind, group_id=group))
        self._messages = messages
        self._since = time.monotonic()
        return messages

    def _advance(self, replies: Iterable[Message]) -> Requests[int]:
        """Give the round what came, and close its step; say who gave no answer, and why, as far as it is known."""
        asked = {message.metadata.message_id: message.metadata.dst_node_id for message in self._messages}
        silent = {message.metadata.dst_node_id for message in self._messages}
        for reply in replies:
            # An error that the SuperLink made up does not come from the node that it is about.
            node = asked.get(reply.metadata.reply_to_message_id, reply.metadata.src_node_id)
            silent.discard(node)
            if reply.has_error():
                self.heard = f"{self._name(node)} gave no answer: {_reason(reply.error)}"
                log(WARNING, "secagg: %s", self.heard)
                continue
            try:
                self.round.take(node, read(reply.content))
            except SecAggError as refused:
                log(WARNING, "secagg: an answer of %s is refused: %s", self._name(node), refused)
        for node in sorted(silent):
            log(WARNING, "secagg: %s did not answer in time", self._name(node))
        if self._messages:
            missing = len(self.round.waiting_for)
            waited = time.monotonic() - self._since
            log(INFO, "secagg: %s: %d asked, %d missing, %.2f s", self.round.step, len(self._messages), missing, waited)
        return self.round.advance()

    def _name(self, node: int) -> str:
        own = self.round.participants.get(node)
        return f"node {node}" if own is None else f"node {node} (participant {own})"


def _reason(error: Error) -> str:
    """Return what an error says: the engines put a whole traceback before it. Our own begin with their kind."""
    lines = [line for line in error.reason.splitlines() if line.strip(" '>")]
    said = lines[-1][:300] if lines else "no reason given"
    if error.code == ErrorCode.MOD_FAILED_PRECONDITION and ":" not in said.partition(" ")[0]:
        return f"{said} This mod stands before secagg_mod: put secagg_mod first in ClientApp(mods=[…])"
    return said
