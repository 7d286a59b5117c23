"""Steps that dealing protocols have in common, as pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from ..core.channels import advertised_context, check_context
from ..core.context import RoundContext
from ..core.scheme import Scheme
from ..primitives.domain import Use, digest
from ..primitives.randomness import Randomness
from .messages import NONCE_BYTES, AdvertiseKeys

SEED_BYTES = 32


# --- AdvertiseKeys, where a channel key and one seed are all that a participant draws


class OwnSecrets(msgspec.Struct, frozen=True):
    """What a participant makes at the start and never sends: its channel key, and the seed of all else (32 bytes)."""

    channel_secret: bytes
    seed: bytes

    def __repr__(self) -> str:
        return "OwnSecrets(<redacted>)"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [("secrets", "<redacted>")]


def make_secrets(scheme: Scheme, randomness: Randomness) -> OwnSecrets:
    """Draw the channel key pair and the seed."""
    return OwnSecrets(scheme.suite.agreement.generate(randomness), randomness.bytes(SEED_BYTES))


def advertise(scheme: Scheme, own: OwnSecrets, context: RoundContext, randomness: Randomness) -> AdvertiseKeys:
    """Return the public part."""
    agreement = scheme.suite.agreement
    public = agreement.public_of(agreement.load_secret(own.channel_secret))
    return AdvertiseKeys(public, randomness.bytes(NONCE_BYTES), advertised_context(scheme, context))


def check_advertised(scheme: Scheme, message: AdvertiseKeys, context: RoundContext) -> tuple[bytes, ...]:
    """Return someone's public key. Raises `ProtocolViolation` unless it can be used and its context is ours."""
    scheme.suite.agreement.check_public(message.channel_key)
    check_context(scheme, context, message.context_digest)
    return (message.channel_key,)


# --- ConsistencyCheck


def survivors_digest(session: bytes, survivors: Sequence[int]) -> bytes:
    """Return the digest of U₃ that its members sign (through their envelope's signature): 32 bytes."""
    return digest(Use.SURVIVORS, session, *survivors)
