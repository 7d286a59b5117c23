"""Sessions and the sealed channels between participants: what every scheme does between the key list and the masks.

From here on everything binds the session, which names the final key list; a channel's keys bind both ids and both
public keys.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from ..errors import ProtocolViolation
from ..primitives.domain import Use, digest, id_field, prefix
from ..primitives.kdf import derive
from ..primitives.suites import Ciphersuite
from .context import RoundContext
from .scheme import Scheme
from .wire import encode

_CHANNEL_KEY_BYTES = 32
_CHANNEL_NONCE = bytes(12)


def advertised_context(scheme: Scheme, context: RoundContext) -> bytes:
    """Return what AdvertiseKeys says of the round's context: its digest; nothing where keys may be early."""
    return b"" if scheme.early_keys else context.context_digest


def check_context(scheme: Scheme, context: RoundContext, advertised: bytes) -> None:
    """Raise `ProtocolViolation` unless someone's AdvertiseKeys says of the context what it must."""
    if scheme.early_keys:
        if advertised:
            raise ProtocolViolation("keys that may be early say a context: it enters with the session, for everybody")
    elif advertised != context.context_digest:
        said, ours = (f"{digest.hex()[:16]}…" if digest else "none" for digest in (advertised, context.context_digest))
        raise ProtocolViolation(
            f"context {said} is not this round's {ours}: different participants were sent different models or settings"
        )


def key_list_digest(entries: Sequence[msgspec.Struct]) -> bytes:
    """Return 32 bytes that name a key list as it travelled, each entry with a `signature`.

    Signatures are left out: they are checked, and may differ without the keys being different.
    """
    return digest(Use.KEY_LIST, *(encode(msgspec.structs.replace(entry, signature=b"")) for entry in entries))


def session_id(scheme: Scheme, roster_digest: bytes, context: RoundContext, list_digest: bytes) -> bytes:
    """Return H(version, scheme, ciphersuite, roster, job, round, context, final key list): 32 bytes."""
    return digest(
        Use.SESSION,
        scheme.id,
        scheme.suite.id,
        roster_digest,
        context.job,
        context.round,
        context.context_digest,
        list_digest,
    )


class PairwiseKeys:
    """Agreements of one participant's key pair with its peers', for one use in one session.

    Also the server's tool: with a vanished participant's reconstructed mask key it makes the same keys.
    """

    def __init__(self, suite: Ciphersuite, use: Use, session: bytes, owner: int, secret_key: bytes) -> None:
        self._suite = suite
        self._owner = owner
        self._prefix = prefix(use, session)
        self._id = id_field(owner)
        self._secret = suite.agreement.load_secret(secret_key)
        self.public_key = suite.agreement.public_of(self._secret)
        self._length = suite.mask_key_bytes if use is Use.MASK_KEY else 2 * _CHANNEL_KEY_BYTES

    def with_peer(self, peer: int, public_key: bytes) -> bytes:
        """Return the key shared with a peer. Raises `ProtocolViolation` for a key that cannot be agreed with."""
        return self.with_loaded(peer, public_key, self._suite.agreement.load_public(public_key))

    def with_loaded(self, peer: int, public_key: bytes, loaded: Any) -> bytes:
        """As `with_peer`, with the peer's public key already loaded."""
        shared = self._suite.agreement.agree(self._secret, loaded)
        # Both ends bind ids and public keys in the same order, the smaller id first.
        if self._owner < peer:
            binding = self._id + id_field(peer) + self.public_key + public_key
        else:
            binding = id_field(peer) + self._id + public_key + self.public_key
        return derive(shared, self._length, self._prefix + binding)


@dataclass(frozen=True, slots=True)
class ChannelKeys:
    """AEAD keys with one peer, one for each direction; each seals one message, so the nonce is fixed."""

    send: bytes = field(repr=False)
    receive: bytes = field(repr=False)

    @classmethod
    def of(cls, keys: PairwiseKeys, me: int, peer: int, public_key: bytes) -> ChannelKeys:
        both = keys.with_peer(peer, public_key)
        low_to_high = both[:_CHANNEL_KEY_BYTES]
        high_to_low = both[_CHANNEL_KEY_BYTES:]
        return cls(low_to_high, high_to_low) if me < peer else cls(high_to_low, low_to_high)


def _associated_data(session: bytes, sender: int, recipient: int) -> bytes:
    return prefix(Use.CHANNEL_DATA, session) + id_field(sender) + id_field(recipient)


def seal_share(suite: Ciphersuite, key: bytes, session: bytes, sender: int, recipient: int, share: bytes) -> bytes:
    """Seal one dealer's shares for one holder."""
    return suite.aead(key).encrypt(_CHANNEL_NONCE, share, _associated_data(session, sender, recipient))


def open_share(suite: Ciphersuite, key: bytes, session: bytes, sender: int, recipient: int, sealed: bytes) -> bytes:
    """Open what a dealer sealed. Raises `cryptography.exceptions.InvalidTag`."""
    return suite.aead(key).decrypt(_CHANNEL_NONCE, sealed, _associated_data(session, sender, recipient))
