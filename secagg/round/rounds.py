"""The aggregator's side of one round: requests out, answers in. No socket, no clock, no thread, no framework.

`drive.drive` is the loop over `begin`, `take` and `advance`.

`Peer` is whatever the runtime calls a participant: a node id, a site's name, an address. The runtime must know whom it
hears; everything else that a peer may do is refused here, recorded, and never raised. *When* a step is closed is the
caller's policy: `ready`, `needed` and `waiting_for` are there for it. One thread at a time.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Mapping
from contextlib import AbstractContextManager
from types import MappingProxyType
from typing import Generic, Protocol

from secagg_protocols import (
    Dropout,
    Envelope,
    InputError,
    Output,
    ParameterError,
    RemoteError,
    Server,
    StateError,
    Step,
    WireError,
)

from .driven import Driven, InMemory
from .outcome import Outcome, Refused, who_completed
from .peers import Peers
from .request import Answers, Requests, one_line
from .terms import Peer, Proposal

log = logging.getLogger("secagg.round")

BYTES_PER_VALUE = 32
"""No scheme sends more for one value."""


class Round(Generic[Peer]):
    """One round over one server's machine. peers: whom it may ask; without a roster they are participants 1, 2 … in
    this order. With one, which participant a peer is follows from its first envelope that verifies. ahead: `keys_ahead`
    of the round before.

    Raises `ParameterError` when machine, proposal and peers do not fit.
    """

    def __init__(
        self,
        server: Server | Driven,
        proposal: Proposal,
        peers: Iterable[Peer] | Peers[Peer],
        *,
        ahead: Mapping[Peer, bytes] | None = None,
    ) -> None:
        self._driven: Driven = InMemory(server) if isinstance(server, Server) else server
        self.server = self._driven.machine
        self.proposal = proposal
        scheme = self.server.scheme
        if (self.server.context, scheme.name) != (proposal.context, proposal.scheme):
            raise ParameterError("the proposal is not about the round that the server's machine was made for")
        self._peers = peers if isinstance(peers, Peers) else Peers(peers, numbered=not scheme.active)
        # With a roster more may be asked: whoever is not in it takes no participant's place.
        if not scheme.active and len(self._peers.names) > scheme.participants:
            raise ParameterError(f"{len(self._peers.names)} peers for a scheme of {scheme.participants} participants")
        self._ahead = ahead or {}
        self._keys_ahead: dict[Peer, bytes] = {}
        self._declined: set[Peer] = set()

    @property
    def participants(self) -> Mapping[Peer, int]:
        """Which participant each peer is, as far as it is known."""
        return self._peers.participants

    @property
    def step(self) -> Step | None:
        """The step that is open; None before the first and after the last."""
        return self.server.state if isinstance(self.server.state, Step) else None

    @property
    def uploads(self) -> bool:
        """Whether what is asked now is answered with a vector: the model goes with it."""
        return self.step is not None and self.step == self.server.scheme.upload_step

    @property
    def needed(self) -> int:
        """Fewest answers with which the open step may be closed; 0 where none is open."""
        return 0 if self.step is None else self.server.needed

    @property
    def ready(self) -> bool:
        """Whether enough have answered for `advance` to succeed."""
        return self.server.ready

    @property
    def waiting_for(self) -> frozenset[Peer]:
        """Peers that have neither answered the open step nor refused to. Who is not known yet may be anyone."""
        waiting = self.server.waiting_for
        late = {peer for peer, own in self.participants.items() if own in waiting}
        if waiting and self.step == self.server.scheme.steps[0]:
            late |= self._peers.names.keys() - self.participants.keys()
        return frozenset(late - self._declined)

    @property
    def dropped(self) -> Mapping[int, Dropout]:
        """Which participants did not finish, at which step, and why."""
        return self.server.dropped

    @property
    def output(self) -> Output | None:
        """The sum, once the last step is closed."""
        return self.server.output

    @property
    def refused(self) -> tuple[Refused[Peer], ...]:
        """What was refused of whom, and why; by the aggregator, or by the site itself."""
        return self._peers.refused

    @property
    def keys_ahead(self) -> Mapping[Peer, bytes]:
        """What came for the next round, which checks it."""
        return MappingProxyType(self._keys_ahead)

    @property
    def answer_limit(self) -> int:
        """Longest answer of any peer, in bytes: a transport can refuse longer ones unread."""
        scheme = self.server.scheme
        return 4 * scheme.envelope_limit + BYTES_PER_VALUE * scheme.length

    @property
    def outcome(self) -> Outcome[Peer]:
        """How it ended, or how far it has come."""
        server = self.server
        return Outcome(
            proposal=self.proposal,
            output=server.output,
            failure=server.failure,
            participants=dict(self.participants),
            dropped=dict(server.dropped),
            refused=self.refused,
            corrections=server.corrections,
            answered=who_completed(server),
        )

    def begin(self) -> Requests[Peer]:
        """Open the round; return whom to ask to begin: everyone whose keys did not come ahead.

        A round that is taken up again (`journal.kept_round`) begins where it was: whoever has not answered is asked.
        """
        outgoing = self._driven.start()
        if self.step != self.server.scheme.steps[0]:
            return self._ask(self._addressed(outgoing, self.server.waiting_for))
        for peer in self._peers.names.keys() & self._ahead.keys():
            self._take_ahead(peer, self._ahead[peer])
        waiting = self.server.waiting_for
        there = {peer for peer, own in self.participants.items() if own not in waiting}
        return self._ask({peer: [] for peer in self._peers.names if peer not in there})

    def take(self, peer: Peer, answers: bytes | memoryview | Answers) -> None:
        """Take what a peer answered. What is wrong with it is in `refused`; the round goes on.

        answers: encoded, or as they are where the peer is in this process, or its transport brings envelopes singly.
        """
        try:
            self._peers.check_known(peer)
            said = answers if isinstance(answers, Answers) else Answers.from_bytes(answers, self.answer_limit)
            if said.refusal:
                self._declined.add(peer)
                self._peers.refuse(peer, self.step, one_line(said.refusal))
            for envelope in said.envelopes:
                self._deliver(peer, envelope)
        except (RemoteError, InputError, StateError) as error:
            self._peers.refuse(peer, self.step, error)

    def advance(self) -> Requests[Peer]:
        """Close the open step with whoever has answered; return whom to ask next. Raises `RoundFailed`, and what the
        machine's `advance` raises: after `WorkerLost` the step is still open."""
        if self.server.failure is not None:
            raise self.server.failure
        outgoing = self._driven.advance()
        return self._ask(self._addressed(outgoing, {envelope.recipient for envelope in outgoing}))

    def aborts(self) -> Requests[Peer]:
        """Return what tells peers that the round has ended without them, and why: those that were dropped, and all when
        it failed. Each once. Sent or not, as the runtime likes; no answer is awaited."""
        told = self.server.aborts()
        return self._requests(self._addressed(told, {envelope.recipient for envelope in told}))

    def _addressed(self, outgoing: Iterable[Envelope], to: Collection[int]) -> dict[Peer, list[Envelope]]:
        """Return what goes to which peer. A participant of whom it is not known who it is gets nothing."""
        asked: dict[Peer, list[Envelope]] = {}
        for envelope in outgoing:
            peer = self._peers.named(envelope.recipient)
            if peer is not None and envelope.recipient in to:
                asked.setdefault(peer, []).append(envelope)
        return asked

    def _ask(self, asked: Mapping[Peer, list[Envelope]]) -> Requests[Peer]:
        self._declined = set()
        return self._requests(asked)

    def _requests(self, asked: Mapping[Peer, list[Envelope]]) -> Requests[Peer]:
        # Where identities decide who is who, it is not the aggregator's to say.
        numbers = {} if self.server.scheme.active else self.participants
        return Requests(self.proposal, {peer: (numbers.get(peer, 0), items) for peer, items in asked.items()})

    def _deliver(self, peer: Peer, data: bytes | memoryview) -> None:
        envelope = Envelope.from_bytes(data, self.server.scheme.envelope_limit)
        self._peers.check_speaks_for(peer, envelope.sender)
        if self._comes_ahead(envelope):
            if peer not in self.participants:
                raise WireError("it sends keys for the next round, and was not there in this one")
            self._keys_ahead[peer] = envelope.to_bytes()
            return
        self._driven.receive(data, envelope)
        self._peers.learn(peer, envelope.sender)

    def _comes_ahead(self, envelope: Envelope) -> bool:
        """Tell whether this is a key for the next round, beside the last message of this one."""
        scheme = self.server.scheme
        wanted = scheme.early_keys and self.proposal.ahead and self.step == scheme.steps[-1]
        return wanted and envelope.kind == Step.ADVERTISE_KEYS

    def _take_ahead(self, peer: Peer, data: bytes) -> None:
        """Take a key that came ahead. The machine knows whether it is for this round, and from whom; whoever sent
        another is asked like everybody else."""
        try:
            self._deliver(peer, data)
        except (RemoteError, StateError) as error:
            log.info("secagg: a key that %s sent ahead is not used: %s", self._peers.called(peer), error)


class Rounds(Protocol):
    """Rounds that follow each other, each from what came before, and kept in a folder: an `Inquiry`, or a
    `KeptAveraging`."""

    @property
    def job(self) -> str:
        """The job of all of them."""

    @property
    def done(self) -> bool:
        """Whether nothing more is to be asked."""

    @property
    def may_leave_out(self) -> bool:
        """Whether sites that are late may be left out of the sum at hand."""

    def open(self) -> AbstractContextManager[Round[str]]:
        """Return the round at hand; after a restart, the same one where it was left."""

    def close(self, output: Output) -> None:
        """Take its sum, and go on to the next. It is on disk when this returns."""
