"""Signatures: Ed25519 (RFC 8032) and ECDSA P-256 with deterministic nonces (FIPS 186-5, RFC 6979)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, x25519
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from ..errors import AuthenticationError, ParameterError, ProtocolViolation
from .agreement import P256_ORDER, P25519, P256Agreement
from .randomness import Randomness


class Signatures(ABC):
    """A signature scheme over encoded keys."""

    public_key_bytes: int
    signature_bytes = 64
    """The longest signature. Whoever reads one refuses what is longer, before it is copied."""

    @abstractmethod
    def generate(self, randomness: Randomness) -> bytes:
        """Return a fresh 32-byte signing key."""

    @abstractmethod
    def load(self, signing_key: bytes) -> Any:
        """Load a signing key, once for many signatures. Raises `ValueError` when the bytes are not one."""

    @abstractmethod
    def public_of(self, loaded: Any) -> bytes:
        """Return the encoded verification key of a loaded signing key."""

    @abstractmethod
    def sign(self, loaded: Any, message: bytes) -> bytes:
        """Return the signature; the same input always gives the same bytes."""

    @abstractmethod
    def verify(self, public_key: bytes, signature: bytes, message: bytes) -> None:
        """Raise `AuthenticationError` unless the signature is the key's over the message."""

    @abstractmethod
    def check_public(self, public_key: bytes) -> None:
        """Raise `ParameterError` unless the bytes are the one encoding of a key that only its owner can sign for.

        Every key that comes from outside (a roster, a consortium's, an auditor's) passes here before `verify`.
        """


SMALL_ORDER_Y = frozenset(
    {
        0,
        1,
        2707385501144840649318225287225658788936804267575313519463743609750303402022,
        55188659117513257062467267217118295137698188065244968500265048394206261417927,
        P25519 - 1,
    }
)
"""The y-coordinates of the eight points of order 1, 2, 4 and 8; a test computes them."""

_ORDER_25519 = 2**252 + 27742317777372353535851937790883648493
_IDENTITY_UP_TO_SIGN = x25519.X25519PrivateKey.from_private_bytes((5 * _ORDER_25519 - 1).to_bytes(32, "little"))
"""As X25519 clamps it, a scalar that is −1 modulo the prime order and 0 modulo the cofactor: it leaves the u-coordinate
of a point of that order as it is, and no other."""


class Ed25519(Signatures):
    """RFC 8032, as OpenSSL verifies it: S below the group's order, and R compared as bytes, so that a signature has one
    form; without the cofactor, so that all who verify agree.

    Under a key of small order anybody's signature verifies for one message in eight or more, and OpenSSL takes such
    keys, in several encodings (Chalkias, Garillot and Nikolaenko, 2020). Refusing them makes a signature be under one
    key and over one message (Brendel, Cremers, Jackson and Zhao, 2021). Keys with a part of small order are refused
    too: nobody could sign without the rest, but one secret would have eight keys.
    """

    public_key_bytes = 32

    def generate(self, randomness: Randomness) -> bytes:
        return randomness.bytes(32)

    def load(self, signing_key: bytes) -> ed25519.Ed25519PrivateKey:
        return ed25519.Ed25519PrivateKey.from_private_bytes(signing_key)

    def public_of(self, loaded: ed25519.Ed25519PrivateKey) -> bytes:
        return loaded.public_key().public_bytes_raw()

    def sign(self, loaded: ed25519.Ed25519PrivateKey, message: bytes) -> bytes:
        return loaded.sign(message)

    def verify(self, public_key: bytes, signature: bytes, message: bytes) -> None:
        try:
            ed25519.Ed25519PublicKey.from_public_bytes(public_key).verify(signature, message)
        except InvalidSignature:
            raise AuthenticationError("an Ed25519 signature does not verify") from None

    def check_public(self, public_key: bytes) -> None:
        shown = f"{public_key.hex()[:20]}…"
        if len(public_key) != self.public_key_bytes:
            raise ParameterError(f"an Ed25519 public key has 32 bytes, not {len(public_key)}: {shown}")
        y = int.from_bytes(public_key, "little") & ((1 << 255) - 1)
        if y >= P25519:
            raise ParameterError(f"an Ed25519 public key that is not in canonical form: {shown}")
        if y in SMALL_ORDER_Y:
            raise ParameterError(f"an Ed25519 public key of small order, for which anybody can sign: {shown}")
        # RFC 7748, section 4.1: u = (1 + y) / (1 − y). Off the curve, u is on its twist, which has another order.
        u = (1 + y) * pow(1 - y, -1, P25519) % P25519
        encoded = u.to_bytes(32, "little")
        if _IDENTITY_UP_TO_SIGN.exchange(x25519.X25519PublicKey.from_public_bytes(encoded)) != encoded:
            raise ParameterError(f"an Ed25519 public key that is no point of the group of prime order: {shown}")


class EcdsaP256(Signatures):
    """ECDSA over P-256 with SHA-256; signatures travel as r ‖ s, low s only, so that they are canonical."""

    public_key_bytes = 65

    def generate(self, randomness: Randomness) -> bytes:
        return P256Agreement().generate(randomness)

    def load(self, signing_key: bytes) -> ec.EllipticCurvePrivateKey:
        return ec.derive_private_key(int.from_bytes(signing_key, "big"), ec.SECP256R1())

    def public_of(self, loaded: ec.EllipticCurvePrivateKey) -> bytes:
        return loaded.public_key().public_bytes(
            serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
        )

    def sign(self, loaded: ec.EllipticCurvePrivateKey, message: bytes) -> bytes:
        algorithm = ec.ECDSA(hashes.SHA256(), deterministic_signing=True)
        r, s = decode_dss_signature(loaded.sign(message, algorithm))
        return r.to_bytes(32, "big") + min(s, P256_ORDER - s).to_bytes(32, "big")

    def verify(self, public_key: bytes, signature: bytes, message: bytes) -> None:
        r = int.from_bytes(signature[:32], "big")
        s = int.from_bytes(signature[32:], "big")
        try:
            if len(signature) != 64 or s > P256_ORDER // 2:
                raise InvalidSignature
            key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), public_key)
            key.verify(encode_dss_signature(r, s), message, ec.ECDSA(hashes.SHA256()))
        except InvalidSignature:
            raise AuthenticationError("an ECDSA P-256 signature does not verify") from None

    def check_public(self, public_key: bytes) -> None:
        try:
            P256Agreement().check_public(public_key)  # uncompressed: a key has one encoding
        except ProtocolViolation as error:
            raise ParameterError(f"{error}: {public_key.hex()[:20]}…") from None
