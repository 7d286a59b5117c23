"""HKDF-SHA256 (RFC 5869): the RFC's case without salt, and an independent implementation."""

import hashlib
import hmac

import pytest

from secagg_protocols.primitives.kdf import derive


def slow_hkdf(secret, length, info):
    """RFC 5869 §2 with the salt not provided (32 zero bytes)."""
    key = hmac.new(bytes(32), secret, hashlib.sha256).digest()
    output, block = b"", b""
    for counter in range(1, 256):
        if len(output) >= length:
            break
        block = hmac.new(key, block + info + bytes([counter]), hashlib.sha256).digest()
        output += block
    return output[:length]


def test_rfc_5869_test_case_3():
    expected = "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8"
    assert derive(b"\x0b" * 22, 42, b"").hex() == expected
    assert slow_hkdf(b"\x0b" * 22, 42, b"").hex() == expected


@pytest.mark.parametrize("length", [1, 16, 31, 32, 33, 64, 100, 255 * 32])
@pytest.mark.parametrize("info", [b"", b"info", bytes(300)])
def test_any_length_and_info(length, info):
    assert derive(b"secret" * 6, length, info) == slow_hkdf(b"secret" * 6, length, info)


def test_every_argument_matters():
    outputs = {derive(secret, 32, info) for secret in (b"a" * 32, b"b" * 32) for info in (b"x", b"y", b"xy")}
    assert len(outputs) == 6
