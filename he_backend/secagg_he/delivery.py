"""Delivery of a group key from the participant that made it to another, over any channel, the server's included.

The receiver sends a `request` with a fresh public key; the maker answers with the key sealed for it (`seal_for`),
which the receiver opens (`open_sealed`). With a roster, both are signed by their pinned identities, and the seal binds
both ids and the roster. Without one, nobody knows to whom it is sealed: then the channel itself must be authentic.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, TypeAlias

from cryptography.exceptions import InvalidTag
from msgspec import Meta

from secagg_protocols.core.fields import PublicKey, Signature
from secagg_protocols.core.identity import Identity, Roster
from secagg_protocols.core.wire import Message, decode, encode
from secagg_protocols.errors import SERVER, AuthenticationError, ParameterError, WireError
from secagg_protocols.primitives.domain import MAX_ID, Use, id_field, separated
from secagg_protocols.primitives.kdf import derive
from secagg_protocols.primitives.randomness import SYSTEM, Randomness
from secagg_protocols.primitives.suites import Ciphersuite

from .group_key import GroupKey

_NONCE = bytes(12)
"""Every seal has a key of its own: two fresh public keys are in its derivation."""

_LIMIT = 1 << 16

PartyId: TypeAlias = Annotated[int, Meta(ge=0, le=MAX_ID)]


class KeyRequest(Message, frozen=True, array_like=True, forbid_unknown_fields=True):
    """ "Send me the group key." receiver: participant id. public_key: fresh. signature: empty without a roster."""

    receiver: PartyId
    public_key: PublicKey
    signature: Signature


class SealedKey(Message, frozen=True, array_like=True, forbid_unknown_fields=True):
    """The key, sealed for one request. maker: participant id. public_key: fresh. signature: empty without a roster.

    sealed: the ciphertext that answers the receiver's key (`Agreement.ciphertext_bytes`; none in today's suites), and
    the sealed key behind it.
    """

    maker: PartyId
    public_key: PublicKey
    sealed: Annotated[bytes, Meta(max_length=_LIMIT)]
    signature: Signature


@dataclass(frozen=True, slots=True)
class Delivery:
    """From whom to whom, under which fresh public keys."""

    receiver: int
    maker: int
    receivers_key: bytes
    makers_key: bytes

    @property
    def fields(self) -> tuple[bytes, ...]:
        """All of it, as it is bound."""
        return id_field(self.receiver), id_field(self.maker), self.receivers_key, self.makers_key


@dataclass(frozen=True)
class Party:
    """One end of a delivery. me: its participant id. identity and roster: both, or neither."""

    me: int
    suite: Ciphersuite
    identity: Identity | None = None
    roster: Roster | None = None

    def __post_init__(self) -> None:
        if (self.identity is None) != (self.roster is None):
            raise ParameterError("delivery needs both identity= and roster=, or neither of them")
        if self.roster is not None and self.roster.suite.id != self.suite.id:
            raise ParameterError(f"the roster's keys are for {self.roster.suite.name}, not {self.suite.name}")

    def request_bytes(self, receiver: int, key: bytes) -> bytes:
        """Return what a receiver signs."""
        return self._bound(Use.DELIVERY_REQUEST, id_field(receiver), key)

    def key_info(self, delivery: Delivery) -> bytes:
        """Return what the key that seals is derived with."""
        return self._bound(Use.DELIVERY_KEY, *delivery.fields)

    def associated_data(self, delivery: Delivery) -> bytes:
        """Return what is sealed along."""
        return self._bound(Use.DELIVERY_DATA, *delivery.fields)

    def answer_bytes(self, delivery: Delivery, sealed: bytes) -> bytes:
        """Return what a maker signs."""
        return self._bound(Use.DELIVERY_ANSWER, *delivery.fields, sealed)

    def _bound(self, use: Use, *fields: bytes) -> bytes:
        roster = self.roster.digest if self.roster is not None else b""
        return separated(use, self.suite.id, roster, *fields)

    def sign(self, message: bytes) -> bytes:
        return b"" if self.identity is None else self.identity.sign(message)

    def check(self, signer: int, signature: bytes, message: bytes) -> None:
        """Raise `AuthenticationError` unless the signature is the signer's; without a roster there is none."""
        if self.roster is not None:
            self.suite.signatures.verify(self.roster.key_of(signer), signature, message)
        elif signature:
            raise AuthenticationError("a signed delivery needs the roster to be checked against")


def request(receiver: Party, randomness: Randomness = SYSTEM) -> tuple[bytes, bytes]:
    """Return (the request, a secret to open the answer with)."""
    agreement = receiver.suite.agreement
    secret = agreement.generate(randomness)
    public_key = agreement.public_of(agreement.load_secret(secret))
    signature = receiver.sign(receiver.request_bytes(receiver.me, public_key))
    return encode(KeyRequest(receiver.me, public_key, signature)), secret


def seal_for(key: GroupKey, requested: bytes, maker: Party, randomness: Randomness = SYSTEM) -> bytes:
    """Return the key, sealed for the participant that made the request.

    Raises `WireError`, `AuthenticationError`, and `ProtocolViolation` for a public key that cannot be agreed with.
    """
    wanted = decode(KeyRequest, requested, _LIMIT)
    _check_participant(wanted.receiver)
    maker.check(wanted.receiver, wanted.signature, maker.request_bytes(wanted.receiver, wanted.public_key))
    suite = maker.suite
    suite.agreement.check_public(wanted.public_key)
    secret = suite.agreement.generate(randomness)
    public_key = suite.agreement.public_of(suite.agreement.load_secret(secret))
    delivery = Delivery(wanted.receiver, maker.me, wanted.public_key, public_key)
    channel = suite.aead(_channel_key(suite, secret, wanted.public_key, maker.key_info(delivery)))
    sealed = channel.encrypt(_NONCE, key.to_json().encode(), maker.associated_data(delivery))
    return encode(SealedKey(maker.me, public_key, sealed, maker.sign(maker.answer_bytes(delivery, sealed))))


def open_sealed(answer: bytes, secret: bytes, receiver: Party) -> GroupKey:
    """Return the key in an answer to this receiver's request. Save and load it: releases are then counted on disk.

    Raises `WireError`, `AuthenticationError`, `ProtocolViolation` (a degenerate public key), `InputError` (no key).
    """
    found = decode(SealedKey, answer, _LIMIT)
    suite = receiver.suite
    _check_participant(found.maker)
    own = suite.agreement.public_of(suite.agreement.load_secret(secret))
    delivery = Delivery(receiver.me, found.maker, own, found.public_key)
    # Before what it says is judged.
    receiver.check(found.maker, found.signature, receiver.answer_bytes(delivery, found.sealed))
    suite.agreement.check_public(found.public_key)
    try:
        channel = suite.aead(_channel_key(suite, secret, found.public_key, receiver.key_info(delivery)))
        text = channel.decrypt(_NONCE, found.sealed, receiver.associated_data(delivery))
    except InvalidTag:
        raise AuthenticationError("the sealed group key does not open: made for another request, or changed") from None
    try:
        return GroupKey.from_json(text.decode())
    except UnicodeDecodeError:
        raise WireError("the sealed group key is no text") from None


def _check_participant(who: int) -> None:
    """Raise `AuthenticationError` for the server, whom a roster may list, and for who cannot be."""
    if who == SERVER:
        raise AuthenticationError(f"{who} is no participant: a group key is made and held by participants alone")


def _channel_key(suite: Ciphersuite, secret: bytes, peer: bytes, info: bytes) -> bytes:
    agreement = suite.agreement
    shared = agreement.agree(agreement.load_secret(secret), agreement.load_public(peer))
    return derive(shared, 32, info)
