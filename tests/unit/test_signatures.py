"""Signatures: known answers, canonical form, and a failure that raises."""

import pytest

from secagg_protocols import AuthenticationError, ParameterError
from secagg_protocols.agreement import P256_ORDER
from secagg_protocols.randomness import SYSTEM
from secagg_protocols.signatures import EcdsaP256, Ed25519

SCHEMES = [Ed25519(), EcdsaP256()]


@pytest.fixture(params=SCHEMES, ids=["ed25519", "ecdsa-p256"])
def scheme(request):
    return request.param


@pytest.mark.parametrize(
    ("secret", "public", "message", "signature"),
    [
        (
            "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
            "",
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
        ),
        (
            "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
            "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
            "72",
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
        ),
    ],
    ids=["RFC 8032 §7.1 test 1", "RFC 8032 §7.1 test 2"],
)
def test_rfc_8032_known_answers(secret, public, message, signature):
    scheme = Ed25519()
    key = scheme.load(bytes.fromhex(secret))
    assert scheme.public_of(key).hex() == public
    assert scheme.sign(key, bytes.fromhex(message)).hex() == signature
    scheme.verify(bytes.fromhex(public), bytes.fromhex(signature), bytes.fromhex(message))


def test_rfc_6979_known_answer_for_p256_with_sha256():
    """A.2.5, message "sample": deterministic nonces. The RFC's s is above half the order, so ours is its negative."""
    secret = bytes.fromhex("C9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721")
    r = int("EFD48B2AACB6A8FD1140DD9CD45E81D69D2C877B56AAF991C34D0EA84EAF3716", 16)
    s = int("F7CB1C942D657C41D436C7A1B6E29F65F3E900DBB9AFF4064DC4AB2F843ACDA8", 16)
    expected = r.to_bytes(32, "big") + min(s, P256_ORDER - s).to_bytes(32, "big")
    scheme = EcdsaP256()
    key = scheme.load(secret)
    assert scheme.sign(key, b"sample") == expected
    scheme.verify(scheme.public_of(key), expected, b"sample")


def test_the_same_input_always_gives_the_same_signature(scheme):
    key = scheme.load(scheme.generate(SYSTEM))
    assert scheme.sign(key, b"m") == scheme.sign(key, b"m")
    assert len(scheme.sign(key, b"m")) == scheme.signature_bytes
    assert len(scheme.public_of(key)) == scheme.public_key_bytes


def test_every_changed_bit_of_signature_or_message_is_refused(scheme):
    key = scheme.load(scheme.generate(SYSTEM))
    public, message = scheme.public_of(key), b"a message"
    signature = scheme.sign(key, message)
    scheme.verify(public, signature, message)
    for bit in range(0, 512, 3):
        changed = bytearray(signature)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises(AuthenticationError):
            scheme.verify(public, bytes(changed), message)
    for changed in (b"", b"a messagf", message + b"\0"):
        with pytest.raises(AuthenticationError):
            scheme.verify(public, signature, changed)


def test_somebody_else_s_signature_is_refused_and_names_nobody(scheme):
    key, other = scheme.load(scheme.generate(SYSTEM)), scheme.load(scheme.generate(SYSTEM))
    with pytest.raises(AuthenticationError) as caught:
        scheme.verify(scheme.public_of(other), scheme.sign(key, b"m"), b"m")
    assert caught.value.culprits == frozenset()


@pytest.mark.parametrize("size", [0, 1, 32, 63, 65, 128])
def test_signatures_of_another_length_are_refused(scheme, size):
    key = scheme.load(scheme.generate(SYSTEM))
    with pytest.raises(AuthenticationError):
        scheme.verify(scheme.public_of(key), (scheme.sign(key, b"m") * 3)[:size], b"m")


def test_the_other_s_of_an_ecdsa_signature_is_refused():
    """(r, n − s) verifies in textbook ECDSA; one signature has one form here."""
    scheme = EcdsaP256()
    for index in range(20):
        key = scheme.load(scheme.generate(SYSTEM))
        signature = scheme.sign(key, bytes([index]))
        s = int.from_bytes(signature[32:], "big")
        assert s <= P256_ORDER // 2
        scheme.verify(scheme.public_of(key), signature, bytes([index]))
        with pytest.raises(AuthenticationError):
            scheme.verify(scheme.public_of(key), signature[:32] + (P256_ORDER - s).to_bytes(32, "big"), bytes([index]))


@pytest.mark.parametrize(("r", "s"), [(0, 0), (0, 1), (1, 0), (P256_ORDER, 1), (2**256 - 1, 1)])
def test_degenerate_ecdsa_signatures_are_refused(r, s):
    scheme = EcdsaP256()
    public, signature = (
        scheme.public_of(scheme.load(scheme.generate(SYSTEM))),
        r.to_bytes(32, "big") + s.to_bytes(32, "big"),
    )
    with pytest.raises(AuthenticationError):
        scheme.verify(public, signature, b"m")


def test_bytes_that_are_no_public_key_are_refused(scheme):
    for wrong in (b"", bytes(5), b"\x04" + bytes(64), b"\x05" * (scheme.public_key_bytes + 1)):
        with pytest.raises(ParameterError):
            scheme.check_public(wrong)
    scheme.check_public(scheme.public_of(scheme.load(scheme.generate(SYSTEM))))
