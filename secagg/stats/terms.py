"""What travels of a query with each step: it is in the round's proposal, so all sites of a sum were asked the same."""

from __future__ import annotations

from functools import lru_cache
from typing import Annotated

from msgspec import Meta

from secagg.round import Proposal, bound_digest, received_digest
from secagg_protocols import ProtocolViolation, RoundContext
from secagg_protocols.core.wire import Message, decode, encode
from secagg_protocols.primitives.domain import Use, digest

from .progress import PROGRESS_LIMIT, Progress
from .query import Query

NONCE_BYTES = 16

RECEIVED = received_digest({}, "statistics")
"""What a site is sent beside a proposal's terms: nothing."""


class QueryTerms(Message, frozen=True):
    """nonce: of one query, as it is asked once. attempt: how often steps of it have failed before. progress: of the
    query, encoded (`Progress.asked`). gain: what every integer is multiplied by, where there is noise."""

    nonce: Annotated[bytes, Meta(min_length=NONCE_BYTES, max_length=NONCE_BYTES)]
    attempt: Annotated[int, Meta(ge=0, le=1 << 16)]
    progress: bytes
    gain: Annotated[int, Meta(ge=1, le=1 << 20)] = 1

    def to_bytes(self) -> bytes:
        """Return the encoding that goes into a proposal's `terms`."""
        return encode(self)


@lru_cache(maxsize=64)
def read_terms(data: bytes) -> tuple[QueryTerms, Progress]:
    """Decode. A site is sent the same terms with every request of a round. Raises what `Progress.from_bytes` raises."""
    terms = decode(QueryTerms, data, PROGRESS_LIMIT)
    return terms, Progress.from_bytes(terms.progress)


def job_of(query: Query, nonce: bytes) -> str:
    """Return the job of a query: another one cannot go on in its place."""
    return f"query {digest(Use.QUERY_JOB, query.digest, nonce).hex()}"


def context_of(terms: QueryTerms, progress: Progress) -> RoundContext:
    """Return what a step's round is about. Rounds of a query go up, with each step and each that failed."""
    job = job_of(progress.query, terms.nonce)
    return RoundContext(job, progress.step + terms.attempt + 1, bound_digest(RECEIVED, terms.to_bytes()))


def check_context(proposal: Proposal, terms: QueryTerms, progress: Progress) -> None:
    """Raise `ProtocolViolation` for a proposal that is about another query or step than its terms."""
    if proposal.context != context_of(terms, progress):
        raise ProtocolViolation("the proposal's job, round or digest are not those of the query and step in its terms")
