"""What a protocol sends, as one table: in each step, what the server says first and what a participant answers.

From this table follow the transitions of both machines, which kinds of message each may receive, what each kind is
bound to, the diagrams and the tables in the docs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum, StrEnum
from functools import cached_property
from types import MappingProxyType
from typing import Any, TypeAlias

from .guarantee import Adversary
from .step import Step
from .wire import Message

START = "start"
CONTRIBUTE = "contribute"
ADVANCE = "advance"
"""The events that are calls; all others are kinds of message."""

VECTOR = "its vector"


class Terminal(StrEnum):
    """States that every machine shares."""

    NEW = "New"
    DONE = "Done"
    ABORTED = "Aborted"


State: TypeAlias = Enum
Transitions = Mapping[tuple[State, str], State]


class Binding(Enum):
    """Which 32 bytes the envelopes of one kind of message carry."""

    ADDRESS = "address"
    """The round's address: there is no session yet."""
    KEY_LIST = "key list"
    """The round's address, and with early keys its context."""
    SESSION = "session"


@dataclass(frozen=True, slots=True)
class Sent:
    """One kind of message in one direction. many: whether more than one of it travels, a block in each."""

    message: type[Message]
    bound_to: Binding = Binding.SESSION
    many: bool = False

    @property
    def kind(self) -> str:
        """The message's name on the wire."""
        return self.message.__name__


@dataclass(frozen=True, slots=True)
class Row:
    """One step. asks: server → participant, in this order. answers: participant → server; the last has the step's name.

    vector: whether a participant is given its vector here, after it was asked. active: whether there is such a step
    against an active server only.
    """

    step: Step
    asks: tuple[Sent, ...]
    answers: tuple[Sent, ...]
    vector: bool = False
    active: bool = False


@dataclass(frozen=True)
class Exchange:
    """All steps of a protocol, in order."""

    rows: tuple[Row, ...]

    def against(self, adversary: Adversary | str) -> Exchange:
        """Return what is exchanged against this server."""
        return self._against[Adversary(adversary)]

    @cached_property
    def _against(self) -> Mapping[Adversary, Exchange]:
        passive = Exchange(tuple(row for row in self.rows if not row.active))
        return {Adversary.ACTIVE: self, Adversary.SEMI_HONEST: passive}

    @property
    def steps(self) -> tuple[Step, ...]:
        """The steps in order."""
        return tuple(row.step for row in self.rows)

    @property
    def upload_step(self) -> Step:
        """The step whose message carries the vector."""
        return next(row.step for row in self.rows if row.vector)

    # --- which messages a machine may receive, and what they are bound to

    @cached_property
    def to_participant(self) -> Mapping[str, type[Message]]:
        """Every kind of message that a participant may receive."""
        return _by_kind(sent for row in self.rows for sent in row.asks)

    @cached_property
    def to_server(self) -> Mapping[str, type[Message]]:
        """Every kind of message that the server may receive."""
        return _by_kind(sent for row in self.rows for sent in row.answers)

    @property
    def messages(self) -> tuple[type[Message], ...]:
        """Every kind of message, in either direction."""
        return (*self.to_participant.values(), *self.to_server.values())

    @cached_property
    def binding(self) -> Mapping[str, Binding]:
        """What each kind of message is bound to."""
        return MappingProxyType({sent.kind: sent.bound_to for row in self.rows for sent in (*row.asks, *row.answers)})

    # --- the machines' tables

    @cached_property
    def participant_transitions(self) -> Transitions:
        """A participant's whole behaviour: it waits for one thing at a time."""
        events = list(self._events())
        states = _waiting(event for event, _ in events)
        before: list[State] = [Terminal.NEW, *(states[event] for event, _ in events)]
        last = before[-1] if events[-1][1] else Terminal.DONE
        names = [START, *(CONTRIBUTE if event == VECTOR else event for event, _ in events)]
        return MappingProxyType(dict(zip(zip(before, names, strict=True), [*before[1:], last], strict=True)))

    def _events(self) -> Iterator[tuple[str, bool]]:
        """Yield what a participant waits for, in order, and whether more of it may follow."""
        for row in self.rows:
            yield from ((sent.kind, sent.many) for sent in row.asks)
            if row.vector:
                yield VECTOR, False

    @cached_property
    def server_transitions(self) -> Transitions:
        """The server's whole behaviour: a step takes its messages, and is closed by `advance`."""
        table: dict[tuple[State, str], State] = {(Terminal.NEW, START): self.rows[0].step}
        following: list[State] = [*self.steps[1:], Terminal.DONE]
        for row, after in zip(self.rows, following, strict=True):
            table.update({(row.step, sent.kind): row.step for sent in row.answers})
            table[row.step, ADVANCE] = after
        return MappingProxyType(table)

    # --- the docs

    def as_markdown(self) -> str:
        """Return the table of messages."""
        lines = ["| step | server → participant | participant → server | bound to |", "|---|---|---|---|"]
        for row in self.rows:
            step = f"{row.step} (active)" if row.active else str(row.step)
            bound = ", ".join(dict.fromkeys(sent.bound_to.value for sent in (*row.asks, *row.answers)))
            lines.append(f"| {step} | {_listed(row.asks)} | {_listed(row.answers)} | {bound} |")
        return "\n".join(lines)


def _by_kind(sent: Iterable[Sent]) -> Mapping[str, type[Message]]:
    return MappingProxyType({item.kind: item.message for item in sent})


def _listed(sent: tuple[Sent, ...]) -> str:
    return ", ".join(f"{item.kind} (one per block)" if item.many else item.kind for item in sent) or "–"


def _waiting(events: Iterable[str]) -> Mapping[str, State]:
    """Return the state in which a participant waits for each event."""
    names = {event: f"waiting for {event}" for event in events}
    states: Any = StrEnum("Waiting", names)  # type: ignore[misc]
    return {event: states[event] for event in names}
