"""A request and its answers: one bytes object each way, whatever the transport.

    request   head · ask (proposal, participant) · envelopes
    answers   head · told (why it is refused; else empty) · envelopes

The head is 8 bytes: `secagg`, then `?` or `!`, then the version. Parts follow: their number and all their lengths (8
bytes each, big-endian), then the parts themselves, end to end. So nothing of a part's size is allocated before all of
them are known to fit, and then nothing is copied: parts are views. The first part is a message of the strict wire
codec, with one encoding; envelopes check themselves.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from secagg_protocols import Envelope, ParameterError, WireError
from secagg_protocols.core.wire import Message, decode, encode
from secagg_protocols.primitives.domain import MAX_ID

from .terms import PROPOSAL_LIMIT, Peer, Proposal

VERSION = 1
"""Of requests and answers. Envelopes have their own."""
REQUEST_LIMIT = 1 << 31
"""Longest request that a site reads, in bytes, whatever it may be about; a transport can refuse longer ones unread."""
REASON_LIMIT = 300
"""Longest reason that is told or logged, in characters."""
MAX_ENVELOPES = 1 << 16

_MAGIC = b"secagg"
_ASK = b"?"
_ANSWER = b"!"
_HEAD = len(_MAGIC) + 2
_LENGTH = 8

Parts = Sequence[bytes | memoryview]


class _Ask(Message, frozen=True):
    proposal: Proposal
    participant: int

    def __post_init__(self) -> None:
        if not 0 <= self.participant <= MAX_ID:
            raise ParameterError(f"participant {self.participant} is not between 0 and {MAX_ID}")


class _Told(Message, frozen=True):
    reason: str


@dataclass(frozen=True, slots=True)
class Request:
    """One request to one site. participant: the id that the aggregator gives it; 0 where its own roster says it.

    envelopes: encoded; none where the participant is to begin.
    """

    proposal: Proposal
    participant: int
    envelopes: Parts

    def to_bytes(self) -> bytes:
        """Return the encoding that travels."""
        return _join(_ASK, [encode(_Ask(self.proposal, self.participant)), *self.envelopes])

    @classmethod
    def from_bytes(cls, data: bytes | memoryview, limit: int = REQUEST_LIMIT) -> Request:
        """Decode. Raises `WireError`, also for a request of another version. The envelopes are views of `data`."""
        first, envelopes = _split("request", _ASK, data, limit)
        ask = decode(_Ask, first, PROPOSAL_LIMIT)
        return cls(ask.proposal, ask.participant, envelopes)


class Requests(Mapping[Peer, bytes]):
    """Whom to ask, with what. A request is encoded when it is read, so that not all of them need exist at once."""

    def __init__(self, proposal: Proposal, asked: Mapping[Peer, tuple[int, list[Envelope]]]) -> None:
        self._proposal = proposal
        self._asked = asked

    def __getitem__(self, peer: Peer) -> bytes:
        participant, envelopes = self._asked[peer]
        return _join(_ASK, [encode(_Ask(self._proposal, participant)), *envelopes])

    def envelopes(self, peer: Peer) -> Sequence[Envelope]:
        """Return what a peer is asked with as it is, for one that is in this process; nothing where it is to begin."""
        return self._asked[peer][1]

    def __iter__(self) -> Iterator[Peer]:
        return iter(self._asked)

    def __len__(self) -> int:
        return len(self._asked)


@dataclass(frozen=True, slots=True)
class Answers:
    """What a site sends back. envelopes: encoded. refusal: why there are none, in one line; empty where all is well."""

    envelopes: Parts = ()
    refusal: str = ""

    def to_bytes(self) -> bytes:
        """Return the encoding that travels."""
        return _join(_ANSWER, [encode(_Told(one_line(self.refusal))), *self.envelopes])

    @classmethod
    def from_bytes(cls, data: bytes | memoryview, limit: int) -> Answers:
        """Decode. limit: in bytes (`Round.answer_limit`). Raises `WireError`. The envelopes are views of `data`."""
        first, envelopes = _split("answer", _ANSWER, data, limit)
        return cls(envelopes, one_line(decode(_Told, first, 8 * REASON_LIMIT).reason))


def one_line(reason: str) -> str:
    """Return what somebody else wrote, fit for a log: one line, printable, not longer than `REASON_LIMIT`."""
    return "".join(sign if sign.isprintable() else " " for sign in reason[:REASON_LIMIT])


def _join(kind: bytes, parts: Sequence[bytes | memoryview | Envelope]) -> bytes:
    pieces = [_pieces(part) for part in parts]
    lengths = b"".join(sum(map(len, piece)).to_bytes(_LENGTH, "big") for piece in pieces)
    head = (_MAGIC, kind, bytes([VERSION]), len(parts).to_bytes(_LENGTH, "big"), lengths)
    return b"".join((*head, *(data for piece in pieces for data in piece)))


def _pieces(part: bytes | memoryview | Envelope) -> tuple[bytes | memoryview, ...]:
    """Return what a part is joined from. An envelope's payload is copied once, not first into the envelope's bytes."""
    if isinstance(part, Envelope):
        return msgspec.structs.replace(part, payload=b"").to_bytes(), part.payload
    return (part,)


def _split(what: str, kind: bytes, data: bytes | memoryview, limit: int) -> tuple[memoryview, tuple[memoryview, ...]]:
    """Return the parts as views. A buffer that could change under them is copied."""
    view = memoryview(data) if isinstance(data, bytes) else memoryview(bytes(data[: limit + 1]))
    if len(view) > limit:
        raise WireError(f"the {what} is {len(data)} bytes long; at most {limit} are allowed")
    if view[: _HEAD - 1] != _MAGIC + kind or len(view) < _HEAD:
        raise WireError(f"this is no {what} of secagg")
    if view[_HEAD - 1] != VERSION:
        raise WireError(f"the {what} is of version {view[_HEAD - 1]}, this side speaks version {VERSION}")
    count = int.from_bytes(view[_HEAD : _HEAD + _LENGTH], "big")
    start = _HEAD + _LENGTH + count * _LENGTH
    if not 1 <= count <= MAX_ENVELOPES + 1 or start > len(view):
        raise WireError(f"the {what} says that it has {count} parts, and has not")
    table = view[_HEAD + _LENGTH : start]
    parts = []
    for at in range(0, len(table), _LENGTH):
        stop = start + int.from_bytes(table[at : at + _LENGTH], "big")
        parts.append(view[start:stop])
        start = stop
    if start != len(view):
        raise WireError(f"the parts of the {what} say that they have {start} bytes, and it has {len(view)}")
    return parts[0], tuple(parts[1:])
