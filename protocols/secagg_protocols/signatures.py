"""Signatures: Ed25519 (RFC 8032) and ECDSA P-256 with deterministic nonces (FIPS 186-5, RFC 6979)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from .agreement import P256_ORDER, P256Agreement
from .errors import AuthenticationError, ParameterError
from .randomness import Randomness


class Signatures(ABC):
    """A signature scheme over encoded keys. Signatures are 64 bytes in both suites."""

    public_key_bytes: int
    signature_bytes = 64

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
        """Return the 64-byte signature; the same input always gives the same bytes."""

    @abstractmethod
    def verify(self, public_key: bytes, signature: bytes, message: bytes) -> None:
        """Raise `AuthenticationError` unless the signature is the key's over the message."""

    @abstractmethod
    def check_public(self, public_key: bytes) -> None:
        """Raise `ParameterError` unless the bytes are a verification key (used on roster files)."""


class Ed25519(Signatures):
    """RFC 8032."""

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
        try:
            ed25519.Ed25519PublicKey.from_public_bytes(public_key)
        except ValueError as error:
            raise ParameterError(f"not an Ed25519 public key: {public_key.hex()[:20]}…") from error


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
        r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
        try:
            if len(signature) != 64 or s > P256_ORDER // 2:
                raise InvalidSignature
            key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), public_key)
            key.verify(encode_dss_signature(r, s), message, ec.ECDSA(hashes.SHA256()))
        except InvalidSignature:
            raise AuthenticationError("an ECDSA P-256 signature does not verify") from None

    def check_public(self, public_key: bytes) -> None:
        try:
            ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), public_key)
        except ValueError as error:
            raise ParameterError(f"not a P-256 public key: {public_key.hex()[:20]}…") from error
