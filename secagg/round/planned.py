"""One round as an aggregator plans it, before anybody is asked: codec, scheme, proposal, and the server's machine."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from secagg.codec import Codec, Layout
from secagg.privacy.mechanism import Mechanism, opened_with
from secagg_protocols import DurableServer, RoundContext, Scheme, Server

from .context import bound_digest
from .settings import Settings
from .terms import Proposal


@dataclass(frozen=True)
class Subject:
    """What a round is about. received: its job and number, and the digest of what every site is sent
    (`received_digest`). bound: as in `Proposal`. last: nobody is asked for keys of a next one. weight_key: as in
    `CodecTerms`."""

    received: RoundContext
    layout: Layout
    bound: Iterable[str]
    last: bool
    weight_key: str


@dataclass(frozen=True)
class PlannedRound:
    """What is agreed, and the machine. privacy: the mechanism of its noise; None where there is none."""

    codec: Codec
    scheme: Scheme
    proposal: Proposal
    server: Server | DurableServer
    privacy: Mechanism | None


def planned_round(settings: Settings, subject: Subject, peers: int, now: datetime) -> PlannedRound:
    """Plan a round of so many peers. Raises `ParameterError`."""
    participants = settings.participants(peers)
    settings, mechanism = settings.planned(participants, subject.layout)
    terms = settings.terms(subject.weight_key)
    codec = terms.codec(subject.layout)
    scheme = settings.make_scheme(participants, codec)
    about = subject.received
    digest = bound_digest(about.context_digest, terms.to_bytes(), subject.bound)
    context = RoundContext(about.job, about.round, digest)
    ahead = scheme.early_keys and not subject.last
    proposal = Proposal.of(scheme, context, terms=terms.to_bytes(), bound=subject.bound, ahead=ahead)
    privacy = mechanism and replace(
        mechanism, statistical_bits=scheme.guarantee.statistical_bits, opened_with=opened_with(scheme)
    )
    return PlannedRound(codec, scheme, proposal, settings.make_server(scheme, context, now), privacy)
