"""Ciphersuites: named values whose id is on the wire. Two from the start, so that agility is real.

| id | name | agreement | KDF | mask stream | AEAD | signature |
|----|--------|--------|-------------|-------------|-------------------|---------|
| 1  | x25519 | X25519 | HKDF-SHA256 | AES-128-CTR | ChaCha20-Poly1305 | Ed25519 |
| 2  | p256   | P-256  | HKDF-SHA256 | AES-256-CTR | AES-256-GCM       | ECDSA P-256 (FIPS-approved algorithms) |
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305

from ..errors import ParameterError
from .agreement import Agreement, P256Agreement, X25519Agreement
from .signatures import EcdsaP256, Ed25519, Signatures


@dataclass(frozen=True, slots=True)
class Ciphersuite:
    """One consistent choice of primitives. `mask_key_bytes` is the AES key size of the mask stream."""

    id: int
    name: str
    agreement: Agreement
    signatures: Signatures
    aead: type[ChaCha20Poly1305] | type[AESGCM]
    mask_key_bytes: int

    def __reduce__(self) -> tuple[Callable[[str], Ciphersuite], tuple[str]]:
        return suite_named, (self.name,)


X25519 = Ciphersuite(1, "x25519", X25519Agreement(), Ed25519(), ChaCha20Poly1305, 16)
P256 = Ciphersuite(2, "p256", P256Agreement(), EcdsaP256(), AESGCM, 32)

SUITES = {suite.name: suite for suite in (X25519, P256)}


def suite_named(name: str) -> Ciphersuite:
    """Return the suite called `name`. Raises `ParameterError` for an unknown one."""
    try:
        return SUITES[name]
    except KeyError:
        raise ParameterError(f"ciphersuite {name!r} is unknown; choose one of {', '.join(SUITES)}") from None
