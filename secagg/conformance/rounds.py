"""The bench of `attack` over a round of `secagg.round`: a real `Round`, real sites, and requests and answers between.

A party's script still says what it sends, message by message. What it sends then travels as a request or an answer,
and a site makes of it what its policy, its store and its machine make of it. `settings.context` names the model that
a participant is sent; those of `contexts` get another one, under a proposal of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from secagg.round import Answers, MemoryStore, Proposal, Request, Round, Site, SitePolicy, Turn, bound_digest
from secagg.round import received_digest as digest_of
from secagg.schemes import SCHEMES
from secagg_protocols import SERVER, Envelope, ParameterError, RemoteError, RoundContext, Scheme, SecAggError

from . import attack, hostile


class Refusal(RemoteError):
    """What a site told the aggregator that it refuses. (The error itself stays at the site.)"""


@dataclass(frozen=True)
class OwnScheme(SitePolicy):
    """The policy of a site that has a scheme of its own making for what is proposed: weakened, or in no registry."""

    own: Scheme | None = None

    def accept(self, proposal: Proposal) -> Scheme:
        assert self.own is not None
        described = Proposal.of(
            self.own, proposal.context, terms=proposal.terms, bound=proposal.bound, ahead=proposal.ahead
        )
        return self.own if described == proposal else super().accept(proposal)


class RoundAttack(attack.Attack):
    """One round of `secagg.round` under attack. proposals: participant → what it is proposed in place of the round."""

    def __init__(
        self,
        scheme: Scheme,
        hostile: Mapping[int, Mapping[str, attack.Script]] | None = None,
        *,
        proposals: Mapping[int, Proposal] | None = None,
        **options: Any,
    ) -> None:
        if scheme.noise is not None:
            raise ParameterError("noise: what a site adds stays at the site; attack a scheme without, or no round")
        self.sites: dict[int, Site] = {}
        self._turns: dict[int, Turn] = {}
        super().__init__(scheme, hostile, **options)
        self.proposals = {who: Proposal.of(scheme, self._context(who)) for who in self.clients} | dict(proposals or {})
        self.round = Round(self.server, Proposal.of(scheme, self._context(SERVER)), self.clients)

    def _model(self, who: int) -> bytes:
        """Return the digest of what a participant is really sent."""
        return digest_of({"model": np.frombuffer(super()._context(who).context_digest, dtype=np.uint8)})

    def _context(self, who: int) -> RoundContext:
        return replace(super()._context(who), context_digest=bound_digest(self._model(who)))

    def _client(self, who: int) -> Any:
        """Make a participant's site, and what stands for its machine until the site has made that."""
        own = self._scheme(who)
        kind: Any = SitePolicy if SCHEMES.get(own.name) is type(own) else OwnScheme
        policy = kind(
            floor=self.settings.policy,
            schemes=frozenset({own.name} & set(SCHEMES)),
            roster=self.roster,
            identity=self.identities.get(who),
            group_key=self.keys[0],
            **({"own": own} if kind is OwnScheme else {}),
        )
        self.sites[who] = Site(policy, MemoryStore())
        return super()._client(who)

    # --- the calls, as requests and answers

    def _open(self) -> None:
        self.round.begin()

    def _ask(self, who: int, *envelopes: Envelope) -> list[Envelope]:
        """Have a site take a request; return what it answers at once."""
        number = 0 if self.scheme.active else who
        request = Request(self.proposals[who], number, [envelope.to_bytes() for envelope in envelopes])
        turn = self.sites[who].take(request.to_bytes())
        self._turns[who] = turn
        if turn.seat is not None:
            self.clients[who] = turn.seat.client.machine
        return [] if turn.awaits_vector else self._read(who, turn.answers)

    def _read(self, who: int, data: bytes) -> list[Envelope]:
        answers = Answers.from_bytes(data, self.round.answer_limit)
        envelopes = [Envelope.from_bytes(one, self.scheme.envelope_limit) for one in answers.envelopes]
        if not answers.refusal:
            return envelopes
        self.round.take(who, Answers((), answers.refusal))
        for abort in envelopes:
            self.to_server(abort, who)
        raise Refusal(answers.refusal)

    def _start(self, who: int) -> list[Envelope]:
        return self._ask(who)

    def _receive(self, envelope: Envelope) -> list[Envelope]:
        return self._ask(envelope.recipient, envelope)

    def vector_of(self, who: int) -> list[Envelope]:
        turn = self._turns[who]
        if not turn.awaits_vector:
            return []
        vector: NDArray[Any] = self.vectors[who]
        return self._read(who, turn.contribute(vector, self._model(who)))

    def _offer(self, sender: int, envelope: Envelope) -> SecAggError | None:
        before = len(self.round.refused)
        self.round.take(sender, Answers((envelope.to_bytes(),)))
        refused = self.round.refused[before:]
        return refused[0].error if refused else None

    def _close(self) -> list[Envelope]:
        requests = self.round.advance()
        return [envelope for peer in requests for envelope in requests.envelopes(peer)]


class BonawitzRoundAttack(hostile.Attack, RoundAttack):
    """The same in the messages of Bonawitz."""
