"""The strict wire codec: msgpack arrays, canonical, length-limited before anything is allocated.

A message is a frozen struct that checks itself when it is made and when it is decoded. Bytes that decode to a message
but are not exactly what encoding it gives are refused, so a message has one encoding and a signature one meaning.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from operator import ge
from typing import Protocol, TypeVar

import msgspec

from ..errors import ParameterError, WireError
from ..primitives.domain import MAX_ID, VERSION, Use, id_field, separated
from ..primitives.suites import SUITES, Ciphersuite
from .fields import CheckedWhenMade

MAX_PARTICIPANTS = 65535
"""Of one round: shares are values at points of GF(65537), one for each participant. Ids have more room (`MAX_ID`)."""
BINDING_BYTES = 32
MAX_KIND = 32
MAX_SIGNATURE = 2**16 - 1
"""What the length of a signature can say, in bytes. Each ciphersuite allows less."""


class Buffer(Protocol):
    """bytes, bytearray, memoryview, an array, a mapped file: whatever `memoryview` takes."""

    def __buffer__(self, flags: int, /) -> memoryview: ...


class Message(msgspec.Struct, metaclass=CheckedWhenMade, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Base of everything that is encoded: fields in order, no names on the wire, sizes beside them (`fields`).

    A last field of type memoryview is the message's bulk: it is decoded in place and never copied.
    """


M = TypeVar("M", bound=msgspec.Struct)

_ENCODER = msgspec.msgpack.Encoder()
_DECODERS: dict[type[msgspec.Struct], msgspec.msgpack.Decoder[msgspec.Struct]] = {}


def encode(message: msgspec.Struct, pieces: Sequence[memoryview] = ()) -> bytes:
    """Return the one encoding of a message. pieces: its bulk, where it is in several and `message` leaves it empty."""
    bulk = _bulk(message) if isinstance(message, Message) else None
    if not isinstance(bulk, memoryview):
        return _ENCODER.encode(message)
    pieces = pieces or (bulk,)
    # Joined once: the encoder would keep half as much again as it needs.
    return b"".join((_head(message, sum(map(len, pieces))), *pieces))


def _bulk(message: msgspec.Struct) -> object:
    """Return a message's last field, which alone may be a view; None where it has no fields."""
    names = message.__struct_fields__
    return getattr(message, names[-1]) if names else None


def _head(message: msgspec.Struct, size: int) -> bytes:
    """Return the encoding of a message up to its bulk of `size` bytes."""
    mark, width = (b"\xc4", 1) if size < 1 << 8 else (b"\xc5", 2) if size < 1 << 16 else (b"\xc6", 4)
    empty = _ENCODER.encode((*msgspec.structs.astuple(message)[:-1], b""))
    return empty[:-2] + mark + size.to_bytes(width, "big")


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
    assert isinstance(message, kind)
    _check_canonical(message, data)
    return message


def _check_canonical(message: msgspec.Struct, data: bytes | memoryview) -> None:
    """Raise `WireError` unless `data` is exactly what encoding the message gives."""
    bulk = _bulk(message)
    if not isinstance(bulk, memoryview):
        canonical = _ENCODER.encode(message) == data
    else:  # encode all but the bulk, then compare what stands before it
        head = _head(message, len(bulk))
        canonical = len(data) == len(head) + len(bulk) and data[: len(head)] == head
    if not canonical:
        raise WireError(f"{type(message).__name__} is not in canonical form")


def check_ascending(name: str, ids: tuple[int, ...]) -> None:
    """Raise `ValueError` unless ids are participants (1 … 2³² − 1), strictly ascending: sorted, none twice."""
    if any(map(ge, ids, ids[1:])) or (ids and not 1 <= ids[0] <= ids[-1] <= MAX_ID):
        raise ValueError(f"{name} is not a strictly ascending list of participants")


_HEADER = struct.Struct(">BBII32sBH")


def envelope_overhead(suite: Ciphersuite) -> int:
    """Return the most bytes that an envelope of this suite has beside its payload."""
    return _HEADER.size + MAX_KIND + suite.signatures.signature_bytes


_LONGEST_SIGNATURE = {suite.id: suite.signatures.signature_bytes for suite in SUITES.values()}
"""Of each suite, by its id. Of one that is not known here no machine takes any."""


class Envelope(msgspec.Struct, frozen=True):
    """One message on its way.

    version: of the protocol and the wire (1). suite: ciphersuite id. binding (32 bytes): which round this belongs
    to; from ShareKeys on, the session. kind: the message's name. sender, recipient: participant ids, 0 the server.
    payload: the encoded message. signature: by the sender's pinned identity, or empty (semi-honest).

    On the wire: version (1 byte), suite (1), sender (4), recipient (4), binding (32), length of kind (1), length of
    signature (2), kind (ASCII), signature, payload (the rest). Integers are big-endian. Every later version begins with
    its number as well, and may go on in its own way.
    """

    version: int
    suite: int
    binding: bytes
    kind: str
    sender: int
    recipient: int
    payload: bytes | memoryview
    signature: bytes

    def __post_init__(self) -> None:
        if self.version != VERSION:
            raise _other_version(self.version)
        if not (0 <= self.sender <= MAX_ID and 0 <= self.recipient <= MAX_ID):
            raise WireError(f"sender {self.sender} or recipient {self.recipient} is not between 0 and {MAX_ID}")
        if not 1 <= len(self.kind) <= MAX_KIND or not self.kind.isascii():
            raise WireError(f"kind of {len(self.kind)} characters; 1 to {MAX_KIND} ASCII characters are allowed")
        if len(self.binding) != BINDING_BYTES or not 0 <= self.suite <= 255:
            raise WireError("an envelope's binding or suite has the wrong size")
        if len(self.signature) > _LONGEST_SIGNATURE.get(self.suite, MAX_SIGNATURE):
            raise _too_long(self.suite, len(self.signature))

    def to_bytes(self) -> bytes:
        """Return the encoding that travels."""
        kind = self.kind.encode()
        signature = self.signature
        header = _HEADER.pack(
            self.version, self.suite, self.sender, self.recipient, self.binding, len(kind), len(signature)
        )
        return b"".join((header, kind, signature, self.payload))

    @classmethod
    def from_bytes(cls, data: Buffer, limit: int) -> Envelope:
        """Decode. `limit`: the longest envelope the receiver's scheme allows (`Scheme.envelope_limit`), in bytes.

        data: bytes, or anything that gives its bytes. The payload is a view of `bytes` (and of a plain memoryview of
        them); whatever else may change later, as a receive buffer does when it is used again, and is copied once.

        Raises `WireError` before anything of the payload's size, or a signature's, is allocated.
        """
        size = memoryview(data).nbytes
        if not 1 <= size <= limit:
            raise WireError(f"an envelope is {size} bytes long; {_HEADER.size + 1} to {limit} are allowed")
        data = _unchanging(data)
        if data[0] != VERSION:
            raise _other_version(data[0])
        if size <= _HEADER.size:
            raise WireError(f"an envelope is {size} bytes long; {_HEADER.size + 1} to {limit} are allowed")
        version, suite, sender, recipient, binding, width, signed = _HEADER.unpack_from(data)
        if signed > _LONGEST_SIGNATURE.get(suite, MAX_SIGNATURE):
            raise _too_long(suite, signed)
        end_of_kind = _HEADER.size + width
        start = end_of_kind + signed
        if len(data) < start:
            raise WireError("an envelope ends inside its kind or its signature")
        try:
            kind = str(data[_HEADER.size : end_of_kind], "ascii")
        except UnicodeDecodeError:
            raise WireError("an envelope's kind is not ASCII") from None
        signature = bytes(data[end_of_kind:start])
        return cls(version, suite, binding, kind, sender, recipient, memoryview(data)[start:], signature)

    def __repr__(self) -> str:
        return f"Envelope({self.kind}, {self.sender} → {self.recipient}, {len(self.payload)} bytes)"


def _other_version(version: int) -> WireError:
    return WireError(f"an envelope of protocol version {version}; this side speaks version {VERSION}")


def _too_long(suite: int, size: int) -> WireError:
    most = _LONGEST_SIGNATURE.get(suite, MAX_SIGNATURE)
    return WireError(f"a signature of {size} bytes; those of ciphersuite {suite} have at most {most}")


def _unchanging(data: Buffer) -> bytes | memoryview:
    """Return the data as it is, if nobody can change it, else a copy.

    `memoryview.readonly` does not tell: a read-only view of a bytearray, an array or a mapped file changes with it.
    """
    if type(data) is bytes:
        return data
    if type(data) is memoryview and type(data.obj) is bytes and data.format == "B" and data.shape == (data.nbytes,):
        return data if data.c_contiguous else bytes(data)
    return bytes(memoryview(data))


def signed_bytes(envelope: Envelope, payload_digest: bytes) -> bytes:
    """Return what a sender signs: every header field and the payload's SHA-256."""
    return separated(
        Use.SIGNATURE,
        envelope.suite,
        envelope.binding,
        envelope.kind,
        id_field(envelope.sender),
        id_field(envelope.recipient),
        payload_digest,
    )


def check_participants(count: int) -> None:
    """Raise `ParameterError` unless a round of this many participants can be expressed."""
    if not 1 <= count <= MAX_PARTICIPANTS:
        raise ParameterError(f"participants={count} is not between 1 and {MAX_PARTICIPANTS}")
