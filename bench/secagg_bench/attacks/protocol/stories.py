"""A server that has two stories of one round: in one it took everybody's vector, in the other never the victim's.

The difference of the two sums is the victim's vector, whatever the scheme. Nothing is forged: both are told by the
server's own machine, twice made alike. What decides is who answers in which.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from secagg_he import BudgetSpent
from secagg_protocols import (
    SERVER,
    Aggregator,
    Client,
    Envelope,
    Identity,
    InsecureDeterministicRandomness,
    Keys,
    MemoryLedger,
    Participant,
    RemoteError,
    RepeatedContext,
    Roster,
    RoundFailed,
    Scheme,
    StateError,
    Step,
)

from ..attack import Finding
from .base import CONTEXT, Vector, by_guessing, known


@dataclass
class Story:
    """One story: the machine that tells it, and what it sends next."""

    server: Any
    outgoing: list[Envelope]


class Stories:
    """A round until all vectors are in; from there on, `tell` each story to whom it is for.

    Participants are asked for a vector once: each keeps a ledger of its own, and its own count of what it released.
    """

    def __init__(self, scheme: Scheme, seed: int, victim: int) -> None:
        from secagg.conformance.driver import vectors_for

        self.scheme = scheme
        self.vectors = vectors_for(scheme, seed)
        self.victim = victim
        self.refused: dict[int, str] = {}
        self.clients = {who: scheme.client(who, CONTEXT, self._party(who)) for who in self.vectors}
        self.whole, self.without = (Story(self._server(), []) for _ in range(2))
        self._run_until_vectors_are_in()

    @cached_property
    def _parties(self) -> tuple[dict[int, Identity], Roster | None]:
        from secagg.conformance.driver import parties_of

        return parties_of(self.scheme)

    @cached_property
    def _keys(self) -> tuple[object, object]:
        return self.scheme.make_group_key() or (None, None)

    def _party(self, who: int) -> Participant:
        identities, roster = self._parties
        standing = deepcopy(self._keys[0])
        return Participant(identity=identities.get(who), roster=roster, ledger=MemoryLedger(), standing=standing)

    def _server(self) -> Any:
        identities, roster = self._parties
        randomness = InsecureDeterministicRandomness(0)
        party = Aggregator(identities.get(SERVER), roster, randomness, self._keys[1])
        return self.scheme.server(CONTEXT, party)

    def copies(self, who: Iterable[int]) -> dict[int, Client]:
        """Return second machines of participants that forget what they answered: the server's own."""
        return {one: self.scheme.restore(self.clients[one].snapshot(), self._party(one)) for one in who}

    # --- the round

    def _run_until_vectors_are_in(self) -> None:
        both = self.whole, self.without
        for story in both:
            story.server.start()
        for who, client in self.clients.items():
            self._take(both, client.start() + self._vector(who))
        step = None
        while step is not self.scheme.upload_step:
            step = self.whole.server.step
            for envelope in self.whole.outgoing:
                self._take(both, self._answers(self.clients[envelope.recipient], envelope))
            for story in both:
                story.outgoing = story.server.advance()

    def _vector(self, who: int) -> list[Envelope]:
        client = self.clients[who]
        return client.contribute(self.vectors[who]) if client.awaits_vector else []

    def _take(self, stories: Iterable[Story], envelopes: Iterable[Envelope]) -> None:
        for envelope in envelopes:
            data = envelope.to_bytes()
            for story in stories:
                left_out = envelope.sender == self.victim and envelope.kind == self.scheme.upload_step.value
                if not (story is self.without and left_out):
                    story.server.receive(Envelope.from_bytes(data, self.scheme.envelope_limit))

    def _answers(self, client: Client, envelope: Envelope) -> list[Envelope]:
        try:
            answers = client.receive(Envelope.from_bytes(envelope.to_bytes(), self.scheme.envelope_limit))
        except (RemoteError, StateError, RepeatedContext, BudgetSpent) as error:
            self.refused[client.participant] = str(error)
            return []
        return answers + self._vector(client.participant)

    def tell(self, story: Story, clients: Mapping[int, Client]) -> Vector | None:
        """Tell a story to these participants; return its sum, if they open it."""
        server = story.server
        while clients and server.output is None:
            self._ask(story, clients)
            try:
                story.outgoing = server.advance()
            except RoundFailed as failure:
                self._go_on(story, clients, failure)
                break
        return None if server.output is None else server.output.total

    def _ask(self, story: Story, clients: Mapping[int, Client]) -> None:
        for envelope in story.outgoing:
            if envelope.recipient in clients:
                self._take([story], self._answers(clients[envelope.recipient], envelope))

    def _go_on(self, story: Story, clients: Mapping[int, Client], failure: RoundFailed) -> None:
        """Go on where an honest server gives up: with the signatures that it has, or with the one sum it was sent."""
        server = story.server
        if failure.step == Step.CONSISTENCY_CHECK.value:
            for envelope in server._request_opening(tuple(clients)):
                self._answers(clients[envelope.recipient], envelope)
        elif self.scheme.traits.keys == Keys.GROUP:
            server._finish(tuple(server._answered))

    # --- what it gives away

    def finding(self, whole: Vector | None, without: Vector | None) -> Finding:
        """Return what the two sums tell of the victim's vector."""
        learnt = None if whole is None or without is None else whole - without
        value = known(self.vectors[self.victim], learnt)
        note = ""
        if self.refused:
            who, why = next(iter(self.refused.items()))
            note = f"{len(self.refused)} of {len(self.clients)} refused; participant {who}: {why}"
        return Finding(value, by_guessing(self.scheme), note=note)
