"""The strict wire codec: msgpack arrays, canonical, length-limited before anything is allocated.

A message is a frozen struct that checks itself when it is made and when it is decoded. Bytes that decode to a message
but are not exactly what encoding it gives are refused, so a message has one encoding and a signature one meaning.
"""

from __future__ import annotations

from typing import TypeVar

import msgspec

from .domain import VERSION, Use, separated
from .errors import SERVER, ParameterError, WireError

MAX_PARTICIPANTS = 65535
BINDING_BYTES = 32
ENVELOPE_OVERHEAD = 256
"""More than everything in an envelope except its payload."""


class Message(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Base of everything that is encoded: fields in order, no names on the wire."""


M = TypeVar("M", bound=msgspec.Struct)

_ENCODER = msgspec.msgpack.Encoder()
_DECODERS: dict[type[msgspec.Struct], msgspec.msgpack.Decoder[msgspec.Struct]] = {}


def encode(message: msgspec.Struct) -> bytes:
    """Return the one encoding of a message."""
    return _ENCODER.encode(message)


def decode(kind: type[M], data: bytes | memoryview, limit: int) -> M:
    """Decode a message of a known kind. Raises `WireError` when it is too long, malformed or not canonical."""
    if len(data) > limit:
        raise WireError(f"{kind.__name__} is {len(data)} bytes long; at most {limit} are allowed")
    decoder = _DECODERS.get(kind)
    if decoder is None:
        decoder = _DECODERS[kind] = msgspec.msgpack.Decoder(kind)
    try:
        message = decoder.decode(data)
    except (msgspec.MsgspecError, ValueError) as error:
        raise WireError(f"{kind.__name__} cannot be decoded: {error}") from None
    if _ENCODER.encode(message) != data:
        raise WireError(f"{kind.__name__} is not in canonical form")
    assert isinstance(message, kind)
    return message


def check_size(name: str, value: bytes | memoryview, size: int) -> None:
    """Raise `ValueError` unless a field has exactly `size` bytes (for a message's own checks)."""
    if len(value) != size:
        raise ValueError(f"{name} has {len(value)} bytes, not {size}")


def check_ascending(name: str, ids: tuple[int, ...]) -> None:
    """Raise `ValueError` unless ids are participants (1 … 65535), strictly ascending: sorted, none twice."""
    if any(a >= b for a, b in zip(ids, ids[1:], strict=False)) or (ids and not 1 <= ids[0] <= ids[-1] <= MAX_PARTICIPANTS):
        raise ValueError(f"{name} is not a strictly ascending list of participants")


class Envelope(Message, frozen=True, array_like=True, forbid_unknown_fields=True):
    """One message on its way.

    version: of the protocol and the wire (1). suite: ciphersuite id. binding (32 bytes): which round this belongs
    to; from ShareKeys on, the session. kind: the message's name. sender, recipient: participant ids, 0 the server.
    payload: the encoded message. signature: 64 bytes by the sender's pinned identity, or empty (semi-honest).
    """

    version: int
    suite: int
    binding: bytes
    kind: str
    sender: int
    recipient: int
    payload: bytes
    signature: bytes

    def __post_init__(self) -> None:
        if self.version != VERSION:
            raise ValueError(f"protocol version {self.version} is not supported; this side speaks {VERSION}")
        check_size("binding", self.binding, BINDING_BYTES)
        for name, party in (("sender", self.sender), ("recipient", self.recipient)):
            if not SERVER <= party <= MAX_PARTICIPANTS:
                raise ValueError(f"{name} {party} is not between 0 and {MAX_PARTICIPANTS}")
        if len(self.signature) not in (0, 64):
            raise ValueError(f"signature has {len(self.signature)} bytes, not 64")

    def to_bytes(self) -> bytes:
        """Return the encoding that travels."""
        return encode(self)

    @classmethod
    def from_bytes(cls, data: bytes | memoryview, limit: int) -> Envelope:
        """Decode. `limit`: the longest envelope the receiver's scheme allows (`Scheme.envelope_limit`), in bytes."""
        return decode(cls, data, limit)

    @property
    def size(self) -> int:
        """Bytes on the wire."""
        return len(self.to_bytes())

    def __repr__(self) -> str:
        return f"Envelope({self.kind}, {self.sender} → {self.recipient}, {len(self.payload)} bytes)"


def signed_bytes(envelope: Envelope, payload_digest: bytes) -> bytes:
    """Return what a sender signs: every header field and the payload's SHA-256."""
    return separated(
        Use.SIGNATURE,
        envelope.suite,
        envelope.binding,
        envelope.kind,
        envelope.sender,
        envelope.recipient,
        payload_digest,
    )


def check_participants(count: int) -> None:
    """Raise `ParameterError` unless a round of this many participants can be expressed."""
    if not 1 <= count <= MAX_PARTICIPANTS:
        raise ParameterError(f"participants={count} is not between 1 and {MAX_PARTICIPANTS}")
