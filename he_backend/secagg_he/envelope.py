"""An authenticated envelope around everything that is, or came out of, a ciphertext.

It says which key, which parameters, which round, which model, who, what and how long; HMAC-SHA256 under the wire key
covers all of it. Checked before any byte reaches SEAL, which decrypts flipped bytes and foreign keys to garbage.
Inside the protocol's own envelope, which is not signed here: these schemes are semi-honest.
"""

from __future__ import annotations

import hmac
import struct
from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import Any

from secagg_protocols.core.context import RoundContext
from secagg_protocols.errors import AuthenticationError, ProtocolViolation, WireError
from secagg_protocols.primitives.domain import VERSION, Use, digest, separated
from secagg_protocols.primitives.kdf import derive

KEY_ID_BYTES = 16
TAG_BYTES = 32


class Content(IntEnum):
    """What an envelope holds."""

    FRESH = 1
    AGGREGATE = 2
    RELEASED = 3

    def __str__(self) -> str:
        return {1: "fresh ciphertexts", 2: "an aggregate", 3: "released values"}[self.value]


_HEADER = struct.Struct(f">BB{KEY_ID_BYTES}s32s32s32sIIQ")
"""version, content, key id, parameter hash, round, context digest, sender, block, length of the content."""

OVERHEAD = _HEADER.size + TAG_BYTES


@dataclass(frozen=True)
class Sealer:
    """Seals and opens the envelopes of one round. round_address: 32 bytes that name scheme, parties, job and round."""

    key_id: bytes
    parameter_hash: bytes
    round_address: bytes
    context_digest: bytes
    _tag_key: bytes = field(repr=False)

    @classmethod
    def of(cls, key_id: bytes, parameter_hash: bytes, wire_key: bytes, address: bytes, context: RoundContext) -> Sealer:
        tag_key = derive(wire_key, 32, separated(Use.HE_TAG_KEY, key_id, parameter_hash, address))
        return cls(key_id, parameter_hash, address, context.context_digest, tag_key)

    @property
    def session(self) -> bytes:
        """32 bytes that name key, parameters, round and model."""
        return digest(Use.HE_SESSION, self.round_address, self.key_id, self.parameter_hash, self.context_digest)

    def of_aggregate(self, name: bytes) -> Sealer:
        """Return the sealer of one aggregate and of what is released of it. name: over its survivors and blocks.

        An aggregate does not verify for who was told another one, nor a release of another aggregate of the session.
        """
        return replace(self, _tag_key=derive(self._tag_key, 32, separated(Use.HE_AGGREGATE_TAG_KEY, name)))

    def seal(self, content: Content, sender: int, block: int, body: bytes | memoryview) -> memoryview:
        """Return header ‖ body ‖ tag."""
        header = self._header(content, sender, block, len(body))
        return memoryview(b"".join((header, body, self._tag(header, body))))

    def open(self, content: Content, sender: int, block: int, data: memoryview) -> memoryview:
        """Return the body. `sender`, `block`: what the message around it says.

        Raises `WireError` and `AuthenticationError` (nothing is authentic: refuse and stay as before), and
        `ProtocolViolation` when it is authentic, and was made for another model than this party's.
        """
        if len(data) < OVERHEAD:
            raise WireError(f"an envelope of {len(data)} bytes is truncated: its header and tag take {OVERHEAD}")
        header = data[: _HEADER.size]
        body = data[_HEADER.size : -TAG_BYTES]
        tag = data[-TAG_BYTES:]
        self._check_header(_HEADER.unpack(header), content, sender, block, len(body))
        if not hmac.compare_digest(self._tag(header, body), tag):
            raise AuthenticationError(f"the tag of {content} does not verify: a byte was changed on the way, or forged")
        if header != self._header(content, sender, block, len(body)):
            raise ProtocolViolation("different participants were sent different models or settings", {sender})
        return body

    def _header(self, content: Content, sender: int, block: int, length: int) -> bytes:
        return _HEADER.pack(
            VERSION, content, self.key_id, self.parameter_hash, self.round_address, self.context_digest,
            sender, block, length,
        )  # fmt: skip

    def _check_header(self, found: tuple[Any, ...], content: Content, sender: int, block: int, length: int) -> None:
        version, what, key_id, parameter_hash, address, _, who, number, claimed = found
        if version != VERSION:
            raise WireError(f"an envelope of version {version}; this is version {VERSION}")
        if what != content:
            name = str(Content(what)) if what in tuple(Content) else f"unknown content {what}"
            raise WireError(f"found {name} where {content} should be")
        if key_id != self.key_id:
            raise WireError("a ciphertext under another group key: this round uses the key with another id")
        if parameter_hash != self.parameter_hash:
            raise WireError("a ciphertext with other parameters than this round's")
        if address != self.round_address:
            raise WireError("a ciphertext of another session: it was made for another round, job, scheme or roster")
        if (who, number) != (sender, block):
            raise WireError(f"found {content} of {who}, block {number}, where block {block} of {sender} should be")
        if claimed != length:
            raise WireError(f"a truncated envelope: it states {claimed} bytes and holds {length}")

    def _tag(self, header: bytes | memoryview, body: bytes | memoryview) -> bytes:
        tag = hmac.new(self._tag_key, header, "sha256")
        tag.update(body)
        return tag.digest()
