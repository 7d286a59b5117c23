"""The aggregator's machine: what every scheme's has in common."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from ..errors import SERVER, LateMessage, ParameterError, ProtocolViolation, RoundFailed, StateError, WireError
from ..packing.sums import Output
from ..primitives.recovery import Correction
from .aborts import ABORT, Abort, abort_for
from .context import RoundContext
from .machine import ADVANCE, START, Machine, Terminal, Transitions
from .party import Aggregator
from .step import Step
from .turns import one_at_a_time
from .wire import Envelope, Message


@dataclass(frozen=True, slots=True)
class Dropout:
    """A participant that did not finish: the step it did not complete, and why."""

    step: Step
    reason: str


_SILENT = "did not answer"
"""Why a participant dropped out of whom nothing more is known."""


HELD_BYTES = 1 << 30


class Server(Machine):
    """The aggregator. Made by `Scheme.server`. *When* a step is closed is the caller's policy: it has no clock.

    workers: where its heavy work runs. They may be replaced at any time, so after `WorkerLost`, too.
    held_bytes: what uploads that have begun and not ended may hold together (1 GiB); see `uploads_at_once`.
    """

    def __init__(self, scheme: Any, context: RoundContext, party: Aggregator) -> None:
        super().__init__(scheme, context, SERVER, party)
        if not context.known:
            raise ParameterError("context_digest is empty: a server knows what its round is about")
        rows = enumerate(self.scheme.exchange.rows, 1)
        self._order = {Terminal.NEW.value: 0} | {sent.kind: place for place, row in rows for sent in row.answers}
        self._expected: frozenset[int] = frozenset()
        self._answered: set[int] = set()
        self._dropped: dict[int, Dropout] = {}
        self._corrections: list[Correction] = []
        self._suspects: set[int] = set()
        self._under_way: set[int] = set()
        self._told: set[int] = set()
        self.held_bytes = HELD_BYTES
        self.output: Output | None = None
        self.failure: RoundFailed | None = None

    @property
    def transitions(self) -> Transitions:
        return self.scheme.exchange.against(self.scheme.adversary).server_transitions

    @property
    def messages(self) -> Mapping[str, type[Message]]:
        return self.scheme.exchange.against(self.scheme.adversary).to_server

    @property
    def step(self) -> Step:
        """The step that is open. Raises `StateError` before the start and after the end."""
        if not isinstance(self.state, Step):
            raise StateError(f"no step is open in state {self.state}")
        return self.state

    @property
    def waiting_for(self) -> frozenset[int]:
        """Participants that have not answered the open step."""
        return self._expected - self._answered - self._dropped.keys()

    @property
    def needed(self) -> int:
        """Fewest answers with which the open step may be closed. Raises `StateError` when none is open."""
        return self._needed(self.step)

    @property
    def ready(self) -> bool:
        """Whether enough have answered for `advance` to succeed."""
        return isinstance(self.state, Step) and len(self._answered) >= self._needed(self.state)

    @property
    def dropped(self) -> Mapping[int, Dropout]:
        """Who did not finish, at which step, and why."""
        return MappingProxyType(self._dropped)

    @property
    def corrections(self) -> tuple[Correction, ...]:
        """Wrong shares that were found and left out."""
        return tuple(self._corrections)

    @property
    @abstractmethod
    def upload_bytes(self) -> int:
        """Bytes that one upload holds here, until it is complete."""

    @property
    def uploads_at_once(self) -> int:
        """How many uploads may have begun and not ended: as many as `held_bytes` hold, but one more than may be lost.

        An upload that has begun may always go on, so those that may stall without failing the round never stop the
        others. (Where losing most is allowed, half may stall.)
        """
        everyone = self.scheme.participants
        may_stall = everyone - max(self._needed(self.scheme.upload_step), everyone // 2 + 1)
        return max(self.held_bytes // self.upload_bytes, may_stall + 1)

    @one_at_a_time
    def start(self) -> list[Envelope]:
        """Open the first step. Raises `StateError` the second time."""
        self.state = self._next(START)
        self._expected = frozenset(range(1, self.scheme.participants + 1))
        return []

    @one_at_a_time
    def receive(self, envelope: Envelope) -> list[Envelope]:
        """Take one envelope from a participant. An `Abort` makes it a dropout, with its reason in `dropped`.

        Raises `WireError`, `AuthenticationError`, `LateMessage`, `StateError` (the machine is as it was), and
        `ProtocolViolation` (that participant is dropped, the round goes on).
        """
        self._check_address(envelope)
        sender = envelope.sender
        kind = envelope.kind
        if not 1 <= sender <= self.scheme.participants:
            raise WireError(f"{kind} comes from unknown participant {sender}")
        if kind == ABORT:
            return self._let_go(envelope)
        self._check_in_time(sender, kind)
        self._next(kind)
        if sender in self._answered:
            raise StateError(f"participant {sender} has already answered {kind}")
        if kind == self.scheme.upload_step.value:
            self._check_room(sender)
        self._check_binding(envelope)
        self._authenticate(envelope)
        message = self.open(envelope)
        try:
            complete = self._handle(sender, message, envelope)
        except ProtocolViolation as violation:
            self._drop(sender, str(violation))
            raise
        if complete:
            self._answered.add(sender)
            self._under_way.discard(sender)
        elif kind == self.scheme.upload_step.value and sender not in self._dropped:
            self._under_way.add(sender)
        return []

    def _check_room(self, sender: int) -> None:
        """Raise `StateError` for an upload that would begin while as many as may be are under way."""
        if sender not in self._under_way and len(self._under_way) >= self.uploads_at_once:
            raise StateError(
                f"{len(self._under_way)} uploads are under way, as many as are held at once: send participant "
                f"{sender}'s again when one of them is complete, or raise held_bytes={self.held_bytes}"
            )

    def _let_go(self, envelope: Envelope) -> list[Envelope]:
        """Count a participant that says so as gone. If it has answered the open step, that answer stays."""
        sender = envelope.sender
        if not isinstance(self.state, Step):
            raise StateError(f"{ABORT} is not expected in state {self.state}")
        if sender in self._dropped:
            raise LateMessage(f"{ABORT} from participant {sender}, which has dropped out before")
        self._check_binding(envelope)
        self._authenticate(envelope)
        message = self.open(envelope)
        assert isinstance(message, Abort)
        reason = f"left, and says: {message.reason}"
        if sender in self._answered:  # nothing of its answer is freed: it may be held, and not yet in the sum
            self._dropped[sender] = Dropout(self.step, reason)
        else:
            self._drop(sender, reason)
        self._told.add(sender)
        return []

    def _check_in_time(self, sender: int, kind: str) -> None:
        order = self._order
        if order[kind] < order.get(self.state.value, len(order)) or sender in self._dropped:
            raise LateMessage(f"{kind} from participant {sender} comes too late: it is not part of this step any more")

    @one_at_a_time
    def aborts(self) -> list[Envelope]:
        """Return an `Abort` for everyone for whom the round has ended without a sum of its own doing, and who was not
        told: dropped participants, and all when the round has failed. Sent or not, as the driver likes."""
        reasons: dict[int, object] = {}
        if self.failure is not None:
            reasons = dict.fromkeys(range(1, self.scheme.participants + 1), self.failure)
        reasons.update((who, dropout.reason) for who, dropout in self._dropped.items())
        untold = sorted(reasons.keys() - self._told)
        self._told.update(untold)
        return [self.seal(ABORT, who, abort_for(reasons[who])) for who in untold]

    @one_at_a_time
    def advance(self) -> list[Envelope]:
        """Close the open step with whoever has answered; return what goes out next.

        Raises `RoundFailed` when fewer than the threshold answered; the machine is then ABORTED.
        """
        following = self._next(ADVANCE)
        for participant in self.waiting_for:
            self._drop(participant, _SILENT)
        try:
            if len(self._answered) < self._needed(self.step):
                raise self._too_few()
            outgoing = self._close(self.step, tuple(sorted(self._answered)))
        except RoundFailed as failure:
            self.state = Terminal.ABORTED
            self.failure = failure
            raise
        self.state = following
        self._expected = frozenset(envelope.recipient for envelope in outgoing)
        self._answered = set()
        return outgoing

    def _needed(self, step: Step) -> int:
        """Return the fewest answers with which a step may be closed."""
        needed: int = self.scheme.needed(step)
        return needed

    def _too_few(self) -> RoundFailed:
        """Return the error for too few answers to the open step."""
        have = len(self._answered)
        suspects = frozenset(self._suspects)
        lost = ((who, out.reason) for who, out in self._dropped.items() if out.step is self.step)
        first = next((f"participant {who} {reason}" for who, reason in lost if reason != _SILENT), "")
        why = self.scheme.why_needed(self.step) or first
        return RoundFailed(self.step.value, have, self._needed(self.step), why, suspects)

    def _drop(self, participant: int, reason: str) -> None:
        self._answered.discard(participant)
        self._under_way.discard(participant)
        self._dropped[participant] = Dropout(self.step, reason)
        self._lose(participant)

    def _lose(self, participant: int) -> None:
        """Free what is held for a participant that was dropped in the open step."""

    @abstractmethod
    def _handle(self, sender: int, message: Message, envelope: Envelope) -> bool:
        """Take a participant's message of the open step; return whether its answer is complete."""

    @abstractmethod
    def _close(self, step: Step, answered: tuple[int, ...]) -> list[Envelope]:
        """End the step; return the next step's envelopes, or set `output`."""
