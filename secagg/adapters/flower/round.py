"""One secure round over a Grid: the driver loop of `secagg.simulate`, with Flower's messages between its turns."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from logging import INFO, WARNING

from flwr.app import Message, RecordDict
from flwr.common.logger import log
from flwr.serverapp import Grid

from secagg_protocols import Envelope, InputError, Output, RemoteError, Scheme, Server, StateError, Step, WireError

from .records import Proposal, Request, read_envelopes
from .settings import Settings

Requests = Mapping[int, tuple[bytes, ...]]
"""Node id → the envelopes that it is asked with."""


class Round:
    """The server's side of one round. templates: the inner strategy's messages, one per node. early: what nodes
    sent ahead in the round before.

    `open` runs the steps before the vectors are due; its messages ask for them. `close` takes the replies and runs the
    rest. Both raise `RoundFailed`. `early_keys`: what nodes sent ahead for the next round.
    """

    def __init__(
        self,
        settings: Settings,
        server: Server,
        proposal: Proposal,
        templates: Sequence[Message],
        grid: Grid,
        early: Mapping[int, Envelope],
    ) -> None:
        self._server, self._proposal, self._settings = server, proposal, settings
        self.scheme: Scheme = server.scheme
        self._grid = grid
        self._templates = {message.metadata.dst_node_id: message for message in templates}
        nodes = sorted(self._templates)
        # With a roster, a node's id is its own to say: it is learnt from the first envelope that verifies.
        self._participant = {} if self.scheme.active else {node: own for own, node in enumerate(nodes, start=1)}
        self._sent: Sequence[Message] = ()
        self._since = time.monotonic()
        self._early = {node: key for node, key in early.items() if self._is_for_this_round(node, key)}
        self.early_keys: dict[int, Envelope] = {}

    def open(self) -> list[Message]:
        """Run the steps before the vectors are due; return the messages that ask for them, model included."""
        self._server.start()
        requests = self._first_requests()
        while self._server.step != self.scheme.upload_step:
            if requests:
                self._exchange(requests)
            requests = self._advance()
        return self._send(requests, model=True)

    def _first_requests(self) -> Requests:
        """Take the early keys that are for this round; return whom to ask for the first message: everybody else."""
        for node in self._templates.keys() & self._early.keys():
            self._receive(node, [self._early[node]])
        waiting = self._server.waiting_for
        # Whoever is known by now (with a roster, only by its keys) and is not waited for has answered, or was dropped.
        there = {node for node, own in self._participant.items() if own not in waiting}
        if there:
            log(INFO, "secagg: %s: %d came ahead", self._server.step, len(there))
        return {node: () for node in self._templates if node not in there}

    def _is_for_this_round(self, node: int, envelope: Envelope) -> bool:
        """Tell whether an early key has this round's address, and comes from who this node is in this round."""
        roster = self._settings.roster if self.scheme.active else None
        address = self.scheme.address(self._server.context, roster)
        return envelope.binding == address and self._participant.get(node, envelope.sender) == envelope.sender

    def close(self, replies: Iterable[Message]) -> Output:
        """Take the replies that carry the vectors, run the remaining steps, return the sum."""
        self._take(replies)
        requests = self._advance()
        while self._server.output is None:
            self._exchange(requests)
            requests = self._advance()
        return self._server.output

    def _exchange(self, requests: Requests) -> None:
        self._take(self._grid.send_and_receive(self._send(requests), timeout=self._settings.stage_timeout))

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
                self._receive(node, self._envelopes_in(reply.content))
        for node in sorted(silent):
            log(WARNING, "secagg: %s did not answer in time", self._name(node))

    def _receive(self, node: int, envelopes: Iterable[Envelope]) -> None:
        try:
            for envelope in envelopes:
                if node not in self._templates or self._participant.get(node, envelope.sender) != envelope.sender:
                    raise WireError(f"it speaks for participant {envelope.sender}")
                if self._is_early(envelope):
                    self.early_keys[node] = envelope  # the next round's server checks it
                    continue
                self._server.receive(envelope)
                self._participant[node] = envelope.sender  # now that it verified
        except (RemoteError, InputError, StateError) as refused:
            log(WARNING, "secagg: an answer of %s is refused: %s", self._name(node), refused)

    def _envelopes_in(self, content: RecordDict) -> Iterator[Envelope]:
        for data in read_envelopes(content):
            yield Envelope.from_bytes(data, self.scheme.envelope_limit)

    def _is_early(self, envelope: Envelope) -> bool:
        """Tell whether this is a key for the next round, beside the last message of this one."""
        last = self._server.step == self.scheme.steps[-1]
        return self.scheme.early_keys and last and envelope.kind == Step.ADVERTISE_KEYS

    def _advance(self) -> Requests:
        """Close the open step; return the next one's envelopes by node."""
        step, waited = self._server.step, time.monotonic() - self._since
        missing = len(self._server.waiting_for)
        outgoing = self._server.advance()
        if asked := len(self._sent):
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
