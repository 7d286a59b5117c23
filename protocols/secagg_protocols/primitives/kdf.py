"""HKDF-SHA256 (RFC 5869)."""

from __future__ import annotations

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_SHA256 = hashes.SHA256()


def derive(secret: bytes, length: int, info: bytes) -> bytes:
    """Return `length` bytes of key. `info` begins with `domain.separated(use, session)`: one key, one use."""
    return HKDF(_SHA256, length, None, info).derive(secret)
