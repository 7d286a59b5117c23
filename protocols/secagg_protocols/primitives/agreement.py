"""Key agreement: X25519 (RFC 7748) and ECDH over P-256 (NIST SP 800-56A).

Secret keys are 32 bytes, so that both suites share the same secrets with the same Shamir parameters.
Both parties of an agreement get the same 32 raw bytes; they are never used before `kdf.derive`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, x25519

from ..errors import ProtocolViolation
from .randomness import Randomness

SECRET_KEY_BYTES = 32

P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551

P25519 = 2**255 - 19
_X25519_LOW_ORDER = frozenset(
    u.to_bytes(32, "little")
    for u in (
        0,
        1,
        325606250916557431795983626356110631294008115727848805560023387167927233504,
        39382357235489614581723060781553021112529911719440698176882885853963445705823,
        P25519 - 1,
    )
)
"""The canonical u-coordinates of order 1, 2, 4 and 8 on the curve and its twist; a test agrees with each."""


class Agreement(ABC):
    """A Diffie–Hellman group. Keys are handled as encoded bytes; loaded keys are opaque objects."""

    public_key_bytes: int
    ciphertext_bytes = 0
    """Bytes with which a peer's public key is answered, where public keys alone do not make a shared secret (a KEM)."""

    @abstractmethod
    def generate(self, randomness: Randomness) -> bytes:
        """Return a fresh 32-byte secret key."""

    @abstractmethod
    def load_secret(self, secret_key: bytes) -> Any:
        """Load a secret key. Raises `ValueError` when the bytes are not one (a wrong reconstruction)."""

    @abstractmethod
    def load_public(self, public_key: bytes) -> Any:
        """Load a peer's public key. Raises `ProtocolViolation` when the bytes are not a point of the group."""

    @abstractmethod
    def check_public(self, public_key: bytes) -> None:
        """Raise `ProtocolViolation` unless the key is canonical and not degenerate.

        What passes here agrees with every honest key and has one encoding, so one participant's key cannot make the
        others abort. (An X25519 key with a part of small order passes. It agrees as without that part, and no secret
        gives it: its owner's recovery fails, as for any dealer of shares that are not of its key.)
        """

    @abstractmethod
    def public_of(self, secret: Any) -> bytes:
        """Return the encoded public key of a loaded secret key."""

    @abstractmethod
    def agree(self, secret: Any, public: Any) -> bytes:
        """Return the 32 raw shared bytes. Raises `ProtocolViolation` for a degenerate public key."""


def _clamped(secret_key: bytes) -> bytes:
    """Return a 32-byte string with the bits set and cleared as RFC 7748 §5 does."""
    return bytes([secret_key[0] & 248]) + secret_key[1:31] + bytes([secret_key[31] & 127 | 64])


class X25519Agreement(Agreement):
    """RFC 7748; a low-order public key (all-zero result) is refused as in §6.1."""

    public_key_bytes = 32

    def generate(self, randomness: Randomness) -> bytes:
        return _clamped(randomness.bytes(SECRET_KEY_BYTES))

    def load_secret(self, secret_key: bytes) -> x25519.X25519PrivateKey:
        # X25519 ignores five bits. With one form allowed, a reconstructed key that is nearly right does not pass.
        if secret_key != _clamped(secret_key):
            raise ValueError("an X25519 secret key is not in clamped form")
        return x25519.X25519PrivateKey.from_private_bytes(secret_key)

    def load_public(self, public_key: bytes) -> x25519.X25519PublicKey:
        try:
            return x25519.X25519PublicKey.from_public_bytes(public_key)
        except ValueError as error:
            raise ProtocolViolation(f"an X25519 public key of {len(public_key)} bytes is not valid") from error

    def check_public(self, public_key: bytes) -> None:
        if len(public_key) != self.public_key_bytes:
            raise ProtocolViolation(f"an X25519 public key of {len(public_key)} bytes is not valid")
        if int.from_bytes(public_key, "little") >= P25519:
            raise ProtocolViolation("an X25519 public key is not in canonical form")
        if public_key in _X25519_LOW_ORDER:
            raise ProtocolViolation("an X25519 public key is of low order")

    def public_of(self, secret: x25519.X25519PrivateKey) -> bytes:
        return secret.public_key().public_bytes_raw()

    def agree(self, secret: x25519.X25519PrivateKey, public: x25519.X25519PublicKey) -> bytes:
        try:
            return secret.exchange(public)
        except ValueError as error:
            raise ProtocolViolation("an X25519 public key of low order was advertised") from error


class P256Agreement(Agreement):
    """ECDH over NIST P-256; public keys travel uncompressed (65 bytes) and are checked to be on the curve."""

    public_key_bytes = 65

    def generate(self, randomness: Randomness) -> bytes:
        # FIPS 186-5 A.2.1: 64 extra bits make the bias of the reduction negligible.
        return (int.from_bytes(randomness.bytes(40), "big") % (P256_ORDER - 1) + 1).to_bytes(32, "big")

    def load_secret(self, secret_key: bytes) -> ec.EllipticCurvePrivateKey:
        return ec.derive_private_key(int.from_bytes(secret_key, "big"), ec.SECP256R1())

    def load_public(self, public_key: bytes) -> ec.EllipticCurvePublicKey:
        try:
            if len(public_key) != self.public_key_bytes:
                raise ValueError("not an uncompressed point")
            return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), public_key)
        except ValueError as error:
            raise ProtocolViolation("a P-256 public key is not an uncompressed point of the curve") from error

    def check_public(self, public_key: bytes) -> None:
        self.load_public(public_key)

    def public_of(self, secret: ec.EllipticCurvePrivateKey) -> bytes:
        return secret.public_key().public_bytes(
            serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
        )

    def agree(self, secret: ec.EllipticCurvePrivateKey, public: ec.EllipticCurvePublicKey) -> bytes:
        return secret.exchange(ec.ECDH(), public)
