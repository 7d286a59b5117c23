"""What an aggregator proposes for one round: scheme, shape, context and the adapter's own terms. Public."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable
from dataclasses import fields
from typing import TypeVar

from secagg.codec import Codec, Layout, Terms, read_terms
from secagg_protocols import ParameterError, RoundContext, Scheme
from secagg_protocols.core.wire import MAX_PARTICIPANTS, Message, decode, encode

PROPOSAL_LIMIT = 1 << 16
"""Longest encoded proposal, in bytes."""

Peer = TypeVar("Peer", bound=Hashable)
"""Whatever a runtime calls a participant."""

_MAX_NAMES = 64
_MAX_NAME = 64
_MAX_TEXT = 256


class CodecTerms(Message, frozen=True):
    """The codec, but for the layout, which follows from the model; and what of a report is a participant's weight.

    kind, version: of the codec (`secagg.codec`). own: its terms, encoded. weight_key: the name of the reported number
    that is the weight.
    """

    kind: str
    version: int
    own: bytes
    weight_key: str

    @classmethod
    def of(cls, terms: Terms, weight_key: str) -> CodecTerms:
        """Return what travels of a codec's terms."""
        return cls(terms.kind, terms.version, encode(terms), weight_key)

    def codec(self, layout: Layout) -> Codec:
        """Return the codec for a model's layout. Raises `ParameterError`, and `WireError` for an unknown one."""
        return read_terms(self.kind, self.version, self.own).codec(layout)

    def to_bytes(self) -> bytes:
        """Return the encoding that goes into a proposal's `terms`."""
        return encode(self)

    @classmethod
    def from_bytes(cls, data: bytes) -> CodecTerms:
        """Decode. Raises `WireError`, also for a codec or a version of it that this side does not know."""
        found = decode(cls, data, PROPOSAL_LIMIT)
        read_terms(found.kind, found.version, found.own)
        return found


class Proposal(Message, frozen=True):
    """What the aggregator proposes for one round. Public, and the same for all participants.

    scheme: its name in `secagg.schemes`. parameters: what else it is made with, sorted by name. job, round,
    context_digest: the round's context; the digest covers what was sent, terms and bound (`context.bound_digest`).
    terms: the adapter's own, as bytes (`CodecTerms`; the query of a statistic). bound: what of a site's surroundings is
    in the digest, sorted; what is not named here is not passed to training. ahead: whether keys for the next round are
    wanted with the last answer.
    """

    scheme: str
    participants: int
    length: int
    parameters: dict[str, bool | int | float | str]
    job: str
    round: int
    context_digest: bytes
    terms: bytes
    bound: tuple[str, ...]
    ahead: bool

    def __post_init__(self) -> None:
        for name in (self.scheme, *self.parameters, *self.bound):
            if not 0 < len(name) <= _MAX_NAME:
                raise ParameterError(f"a name of {len(name)} characters in the proposal; 1 to {_MAX_NAME} are allowed")
        if not (1 <= self.participants <= MAX_PARTICIPANTS and 1 <= self.length <= 1 << 40):
            raise ParameterError(f"participants={self.participants} or length={self.length} cannot be")
        for names in (list(self.parameters), list(self.bound)):
            if names != sorted(set(names)) or len(names) > _MAX_NAMES:
                raise ParameterError(f"the proposal's names are not sorted, or more than {_MAX_NAMES}")
        for name, value in self.parameters.items():
            if (isinstance(value, str) and len(value) > _MAX_TEXT) or (
                isinstance(value, float) and not math.isfinite(value)
            ):
                raise ParameterError(f"the proposal's {name} is no finite number, nor a text of at most {_MAX_TEXT}")
        if not self.context.known:
            raise ParameterError("context_digest is empty: an aggregator knows what its round is about")

    @classmethod
    def of(
        cls,
        scheme: Scheme,
        context: RoundContext,
        *,
        terms: bytes = b"",
        bound: Iterable[str] = (),
        ahead: bool = False,
    ) -> Proposal:
        """Describe a scheme and a context, so that a participant can make equal ones. Raises `ParameterError`."""
        shape = {"participants", "length"}
        values = {item.name: getattr(scheme, item.name) for item in fields(scheme) if item.name not in shape}
        given = {name: value for name, value in sorted(values.items()) if value is not None}
        said = {name: value if isinstance(value, int | float) else str(value) for name, value in given.items()}
        return cls(
            scheme.name,
            scheme.participants,
            scheme.length,
            said,
            context.job,
            context.round,
            context.context_digest,
            terms,
            tuple(sorted(bound)),
            ahead,
        )

    @property
    def context(self) -> RoundContext:
        """What the round is about."""
        return RoundContext(self.job, self.round, self.context_digest)
