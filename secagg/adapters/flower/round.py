"""One secure round over a Grid: the driver loop of `secagg.simulate`, with Flower's messages between its turns."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from logging import INFO, WARNING

from flwr.app import Message, RecordDict
from flwr.common.logger import log
from flwr.serverapp import Grid

from secagg_protocols import Envelope, InputError, Output, RemoteError, Scheme, Server, StateError, WireError

from .records import Proposal, Request, read_envelopes
from .settings import Settings

Requests = Mapping[int, tuple[bytes, ...]]
"""Node id → the envelopes that it is asked with."""


class Round:
    """The server's side of one round. templates: the inner strategy's messages, one per node.

    `open` runs the steps before the vectors are due; its messages ask for them. `close` takes the replies and runs the
    rest. Both raise `RoundFailed`.
    """

    def __init__(
        self, settings: Settings, server: Server, proposal: Proposal, templates: Sequence[Message], grid: Grid
    ) -> None:
        self._server, self._proposal, self._timeout = server, proposal, settings.stage_timeout
        self.scheme: Scheme = server.scheme
        self._grid = grid
        self._templates = {message.metadata.dst_node_id: message for message in templates}
        nodes = sorted(self._templates)
        # With a roster, a node's id is its own to say: it is learnt from the first envelope that verifies.
        self._participant = {} if self.scheme.active else {node: own for own, node in enumerate(nodes, start=1)}
        self._sent: Sequence[Message] = ()
        self._since = 0.0

    def open(self) -> list[Message]:
        """Run the steps before the vectors are due; return the messages that ask for them, model included."""
        self._server.start()
        requests: Requests = dict.fromkeys(self._templates, ())
        while self._server.step != self.scheme.upload_step:
            self._exchange(requests)
            requests = self._advance()
        return self._send(requests, model=True)

    def close(self, replies: Iterable[Message]) -> Output:
        """Take the replies that carry the vectors, run the remaining steps, return the sum."""
        self._take(replies)
        requests = self._advance()
        while self._server.output is None:
            self._exchange(requests)
            requests = self._advance()
        return self._server.output

    def _exchange(self, requests: Requests) -> None:
        self._take(self._grid.send_and_receive(self._send(requests), timeout=self._timeout))

    def _send(self, requests: Requests, model: bool = False) -> list[Message]:
        """Make the messages of one step; a list, because Flower goes through it twice."""
        messages = []
        for node, envelopes in requests.items():
            template = self._templates[node]
            request = Request(self._proposal, self._participant.get(node, 0), envelopes)
            content = request.write(template.content if model else RecordDict())
            kind, group = template.metadata.message_type, template.metadata.group_id
            messages.append(
                Message(content, dst_node_id=node, message_type=kind, group_id=group or str(self._proposal.round))
            )
        self._sent, self._since = messages, time.monotonic()
        return messages

    def _take(self, replies: Iterable[Message]) -> None:
        """Give the server every envelope that came; say who gave none, and why, as far as it is known."""
        asked = {message.metadata.message_id: message.metadata.dst_node_id for message in self._sent}
        silent = {message.metadata.dst_node_id for message in self._sent}
        for reply in replies:
            # An error that the SuperLink made up does not come from the node that it is about.
            node = asked.get(reply.metadata.reply_to_message_id, reply.metadata.src_node_id)
            silent.discard(node)
            if reply.has_error():
                log(WARNING, "secagg: %s gave no answer: %s", self._name(node), _last_line(reply.error.reason))
            else:
                self._receive(node, reply.content)
        for node in sorted(silent):
            log(WARNING, "secagg: %s did not answer in time", self._name(node))

    def _receive(self, node: int, content: RecordDict) -> None:
        try:
            for data in read_envelopes(content):
                envelope = Envelope.from_bytes(data, self.scheme.envelope_limit)
                if node not in self._templates or self._participant.get(node, envelope.sender) != envelope.sender:
                    raise WireError(f"it speaks for participant {envelope.sender}")
                self._server.receive(envelope)
                self._participant[node] = envelope.sender  # now that it verified
        except (RemoteError, InputError, StateError) as refused:
            log(WARNING, "secagg: an answer of %s is refused: %s", self._name(node), refused)

    def _advance(self) -> Requests:
        """Close the open step; return the next one's envelopes by node."""
        step, waited = self._server.step, time.monotonic() - self._since
        missing = len(self._server.waiting_for)
        outgoing = self._server.advance()
        asked = len(self._sent)
        log(INFO, "secagg: %s: %d asked, %d missing, %.2f s", step, asked, min(missing, asked), waited)
        node_of = {participant: node for node, participant in self._participant.items()}
        requests: dict[int, tuple[bytes, ...]] = {}
        for envelope in outgoing:
            node = node_of[envelope.recipient]
            requests[node] = (*requests.get(node, ()), envelope.to_bytes())
        return requests

    def _name(self, node: int) -> str:
        own = self._participant.get(node)
        return f"node {node}" if own is None else f"node {node} (participant {own})"


def _last_line(reason: str) -> str:
    """Return what an error says: the engines put a whole traceback before it."""
    lines = [line for line in reason.splitlines() if line.strip(" '>")]
    return lines[-1][:300] if lines else "no reason given"
