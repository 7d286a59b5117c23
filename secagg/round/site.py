"""A participant's side of every round: what is asked of it, what it answers, what it refuses.

    turn = site.take(request)
    answers = turn.answers
    if turn.awaits_vector:                                    # now, or later and in another process
        answers = turn.contribute(lambda: train(), seen)      # seen: the digest of what was really received

Nothing is raised through the runtime: a refusal is an answer that says why in one line, and the reason in full is in
this site's own log. A turn that was lost with its process comes back by taking the same request again: what was
answered is answered again, byte for byte, and nothing is answered twice in different ways.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from secagg.codec import fit
from secagg.privacy.ledger import Charging
from secagg_protocols import (
    SYSTEM,
    DurableClient,
    Envelope,
    InputError,
    InsecureDeterministicRandomness,
    Participant,
    ProtocolViolation,
    Randomness,
    RoundContext,
    Scheme,
    SecAggError,
    StateError,
)
from secagg_protocols.core.aborts import ABORT
from secagg_protocols.core.machine import Terminal

from .audit import Seen, Stamp
from .context import check_received
from .policy import SitePolicy
from .request import Answers, Request
from .store import SiteStore
from .terms import CodecTerms, Proposal
from .updates import Arrays, layout_of

log = logging.getLogger("secagg.round")

Vector = NDArray[np.generic]


def told(error: SecAggError | OSError) -> str:
    """Return what the aggregator is told of a refusal: its own doings by name; of what is this site's own (its files,
    its values) only that it is so."""
    kind = type(error).__name__
    if isinstance(error, InputError | OSError):
        return f"{kind}: this site's own input or files do not fit; its log says more"
    return f"{kind}: {error}"


def refusal(error: SecAggError | OSError, aborting: Sequence[bytes] = ()) -> bytes:
    """Return the answer of a site that refuses, and log the reason in full. aborting: what its machine sends, where it
    has left the round for good."""
    log.error("secagg: refused: %s: %s", type(error).__name__, error)
    return Answers(aborting, told(error)).to_bytes()


@dataclass(frozen=True)
class Site:
    """One participant. store: where it remembers, unless its policy names a folder.

    job: what its own runtime calls the job, where it does: a proposal for another one is refused. terms: how its
    adapter reads a proposal's terms (`SitePolicy.codec_terms`): what cannot be read is refused before any key is made.
    now: a clock with a time zone, for the validity of rosters. randomness: the one door. spent: what its log says of
    ε and δ, where it knows and keeps no ledger; time and model are those of each line. check_free: raises where this
    site could not bring a vector to that round in time, in a runtime that asks it while it still trains for another.
    survivors: its adapter's rule about whose vectors are in a sum with its own (`Participant.check_survivors`), which
    is given the proposal.
    """

    policy: SitePolicy
    store: SiteStore | None = field(default=None, repr=False)
    job: str | None = None
    terms: Callable[[bytes], object] | None = None
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    randomness: Randomness = field(default=SYSTEM, repr=False)
    spent: Stamp | None = None
    check_free: Callable[[RoundContext], None] | None = None
    survivors: Callable[[Proposal, tuple[int, ...]], None] | None = None

    def stamp(self, model: bytes = b"") -> Stamp:
        """Return what this site's log says now beside the protocol."""
        deterministic = isinstance(self.randomness, InsecureDeterministicRandomness)
        spent = Stamp(now=self.now()) if self.spent is None else self.spent
        return replace(spent, now=self.now(), model=model, insecure_deterministic=deterministic)

    def take(self, request: bytes | memoryview) -> Turn:
        """Take one request of the aggregator, and go one step."""
        try:
            asked = Request.from_bytes(request)
        except SecAggError as error:
            return Turn(None, said=refusal(error))
        seat = None
        try:
            seat = self._sit(asked)
            answers = seat.answer(asked.envelopes)
            seat.note()
            return Turn(seat, answers)
        except (SecAggError, OSError) as error:
            self.note_refused(asked, seat, error)
            return Turn(None, said=refusal(error, _aborting(seat, error)))

    def note_refused(self, asked: Request, seat: Seat | None, error: SecAggError | OSError) -> None:
        """Write down what is refused, where a log is kept. The refusal stands whatever becomes of that."""
        trail = self.policy.audit
        reason = f"{type(error).__name__}: {error}"
        if trail is None:
            return
        if seat is not None and seat.began:
            seat.note_refused(error)
            return
        try:
            own = self.policy.own_entry() or asked.participant or None
            trail.note_refused(asked.proposal, own, reason, self.stamp())
        except (SecAggError, OSError) as failed:
            log.error("secagg: the refusal is not in the audit log: %s", failed)

    def _sit(self, asked: Request) -> Seat:
        """Accept a round, or raise why not."""
        proposal = asked.proposal
        store = self.policy.store or self.store
        if self.job is not None and proposal.job != self.job:
            raise ProtocolViolation(f"the proposal is for job {proposal.job!r}; this is job {self.job!r}")
        if store is None:
            raise StateError("this site has no store: it could not know what it has answered before")
        if self.check_free is not None:
            self.check_free(proposal.context)
        if self.terms is not None:
            self.terms(proposal.terms)
        scheme = self.policy.accept(proposal)
        own = self.policy.participant(scheme, asked.participant)
        return Seat(self, store, proposal, scheme, own)


@dataclass(frozen=True)
class Seat:
    """A site's place in one round that it has accepted."""

    site: Site
    store: SiteStore
    proposal: Proposal
    scheme: Scheme
    participant: int

    @cached_property
    def client(self) -> DurableClient:
        """This participant's machine for the round, made or found again."""
        return self._client(self.proposal.context)

    @cached_property
    def charging(self) -> Charging | None:
        """What charges this round to the site's privacy budget; None where it keeps none."""
        privacy = self.site.policy.privacy
        return None if privacy is None else privacy.charging(self.proposal, self.scheme, self.store, self.site.now())

    def _check_budget(self) -> None:
        """Raise `BudgetSpent` where a vector would exceed the budget: before keys are made, or anybody trains."""
        if self.charging is not None:
            self.charging.check(self.proposal.context)

    def _client(self, context: RoundContext) -> DurableClient:
        policy = self.site.policy
        active = self.scheme.active
        party = Participant(
            identity=policy.identity if active else None,
            roster=policy.roster if active else None,
            policy=policy.floor,
            randomness=self.site.randomness,
            ledger=self.charging,
            standing=policy.group_key,
            now=self.site.now(),
            check_survivors=self._check_survivors,
        )
        return DurableClient(self.store, self.scheme, self.participant, context, party)

    def _check_survivors(self, _: RoundContext, survivors: tuple[int, ...]) -> None:
        if self.site.survivors is not None:
            self.site.survivors(self.proposal, survivors)

    def check_model(self, arrays: Arrays, received: bytes) -> None:
        """Raise, before anybody trains, for another model than the round's, and for one whose update the scheme does
        not sum. received: `context.received_digest`."""
        check_received(self.proposal, received)
        fit(self.scheme, CodecTerms.from_bytes(self.proposal.terms).codec(layout_of(arrays)))

    def answer(self, envelopes: Sequence[bytes | memoryview]) -> list[bytes]:
        """Take the envelopes of one request, none to begin; return the answers."""
        request = [bytes(data) for data in envelopes]
        if self._is_told_too_late(request):
            return []
        if not request and self.store.load(self.client.session) is None:
            self._check_budget()
        answers = self.client.receive_all(request) if request else self.client.start()
        self.store.turn_to(self.proposal.job, self.client.session)  # not before: what is refused must not end a session
        if self.charging is not None and self.client.awaits_vector:
            self._check_budget()
        return answers

    def _is_told_too_late(self, request: Sequence[bytes]) -> bool:
        """Tell whether the server says that the round ended, to a participant for which it has ended."""
        kinds = {Envelope.from_bytes(data, self.scheme.envelope_limit).kind for data in request}
        return kinds == {ABORT} and self.client.machine.state in (Terminal.DONE, Terminal.ABORTED)

    @property
    def began(self) -> bool:
        """Whether this participant has a machine for the round: nothing was wrong with the proposal."""
        return "client" in vars(self)

    def note(self, *, contributed: bool = False, model: bytes = b"", refused: str = "") -> None:
        """Write into this site's audit log, where it keeps one, how far it has come: before anything of it leaves."""
        trail = self.site.policy.audit
        if trail is None:
            return
        refusals = (refused,) if refused else ()
        seen = Seen.by_participant(self.client.machine, contributed=contributed, refusals=refusals)
        stamp = self.site.stamp(model)
        if contributed and self.charging is not None:  # later lines of the round repeat it
            stamp = replace(stamp, epsilon=self.charging.spent(), delta=self.charging.book.budget.delta)
        trail.note(self.scheme, self.proposal.context, seen, stamp)

    def note_refused(self, error: SecAggError | OSError) -> None:
        """Write down what this site refuses, where it keeps a log."""
        try:
            self.note(refused=f"{type(error).__name__}: {error}")
        except (SecAggError, OSError) as failed:
            log.error("secagg: the refusal is not in the audit log: %s", failed)

    def keys_ahead(self) -> list[bytes]:
        """Return this participant's keys for the next round where they are wanted, beside its last answer of this one,
        which must leave whatever becomes of them."""
        proposal = self.proposal
        if not (self.scheme.early_keys and proposal.ahead and self.site.policy.early_keys and self.client.done):
            return []
        try:
            following = self._client(RoundContext(proposal.job, proposal.round + 1, b""))
            self.store.keep_ahead(proposal.job, following.session)
            return following.start()
        except (OSError, SecAggError) as failed:
            log.warning("secagg: no keys for the next round: %s", failed)
            return []


class Turn:
    """One step of one site. answers: what to send, unless a vector is awaited: then what `contribute` returns.

    seat: the round that it is about; None where that was refused. awaits_vector: whether it is this participant's turn
    to contribute. refused: whether the answers say no more than why.
    """

    def __init__(self, seat: Seat | None, answers: Sequence[bytes] = (), said: bytes = b"") -> None:
        self.seat = seat
        self._answers = answers
        self.refused = seat is None
        self.awaits_vector = seat is not None and seat.client.awaits_vector
        self.answers = said if seat is None else _pack(seat, answers)

    @property
    def reason(self) -> str:
        """Why it is refused, as the aggregator is told; empty where it is not."""
        return Answers.from_bytes(self.answers, len(self.answers)).refusal if self.refused else ""

    def contribute(self, vector: Vector | Callable[[], Vector], seen: bytes, model: bytes = b"") -> bytes:
        """Give the vector; return the answers that carry it. seen: `context.received_digest` of what was really
        received and is trained on. vector: may be a function, which is called once everything else is right.
        model: `audit.model_digest` of the model in it, for a site that keeps an audit log."""
        try:
            if self.seat is None or not self.awaits_vector:
                raise StateError("a vector is given where none is due")
            check_received(self.seat.proposal, seen)
            given = vector() if callable(vector) else vector
            answers = [*self._answers, *self.seat.client.contribute(given)]
            self.seat.note(contributed=True, model=model)
            self._answers = answers
        except (SecAggError, OSError) as error:
            return self.refuse(error)
        self.awaits_vector = False
        self.answers = _pack(self.seat, self._answers)
        return self.answers

    def refuse(self, error: SecAggError | OSError) -> bytes:
        """Return the answer that says why this participant does not go on, for an adapter's own reasons."""
        if self.seat is not None:
            self.seat.note_refused(error)
        self.refused = True
        self.answers = refusal(error)
        return self.answers


def _aborting(seat: Seat | None, error: SecAggError | OSError) -> list[bytes]:
    """Return the `Abort` of a machine that has aborted, with its reason; nothing where the refusal may be mended."""
    if seat is None or not seat.began or not isinstance(error, ProtocolViolation):
        return []
    return seat.client.abort(error) if seat.client.machine.state is Terminal.ABORTED else []


def _pack(seat: Seat, answers: Sequence[bytes]) -> bytes:
    return Answers([*answers, *seat.keys_ahead()]).to_bytes()
