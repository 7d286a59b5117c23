"""Key agreement: the RFC's vectors, and every degenerate key refused."""

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, x25519

from secagg_protocols import ProtocolViolation
from secagg_protocols.primitives.agreement import P256_ORDER, P256Agreement, X25519Agreement
from secagg_protocols.primitives.randomness import SYSTEM, InsecureDeterministicRandomness

X, P = X25519Agreement(), P256Agreement()
Q = 2**255 - 19

# u-coordinates of order 1, 2, 4 and 8 on the curve and its twist, and values that are not reduced (RFC 7748 §6.1).
LOW_ORDER = [
    0,
    1,
    325606250916557431795983626356110631294008115727848805560023387167927233504,
    39382357235489614581723060781553021112529911719440698176882885853963445705823,
    Q - 1,
]
LOW_ORDER_NOT_REDUCED = [Q, Q + 1, Q + 18, 2**255 - 1]


def test_rfc_7748_section_6_1():
    alice = bytes.fromhex("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a")
    bob = bytes.fromhex("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb")
    alice, bob = clamped(alice), clamped(bob)
    alice_public, bob_public = X.public_of(X.load_secret(alice)), X.public_of(X.load_secret(bob))
    assert alice_public.hex() == "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a"
    assert bob_public.hex() == "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f"
    shared = "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742"
    assert X.agree(X.load_secret(alice), X.load_public(bob_public)).hex() == shared
    assert X.agree(X.load_secret(bob), X.load_public(alice_public)).hex() == shared


def clamped(scalar: bytes) -> bytes:
    """RFC 7748 §5: the form of a secret key in which no two byte strings are one key."""
    return bytes([scalar[0] & 248]) + scalar[1:31] + bytes([scalar[31] & 127 | 64])


@pytest.mark.parametrize("u", LOW_ORDER)
def test_every_low_order_point_is_refused_and_really_is_one(u):
    key = u.to_bytes(32, "little")
    with pytest.raises(ProtocolViolation, match="low order"):
        X.check_public(key)
    for seed in range(3):
        secret = X.load_secret(X.generate(InsecureDeterministicRandomness(seed)))
        with pytest.raises(ProtocolViolation, match="low order"):
            X.agree(secret, X.load_public(key))
        with pytest.raises(ValueError):  # the library agrees that the result is all zero
            secret.exchange(x25519.X25519PublicKey.from_public_bytes(key))


@pytest.mark.parametrize("u", [*LOW_ORDER_NOT_REDUCED, *(u | 1 << 255 for u in LOW_ORDER), Q + 9, 2**256 - 1])
def test_every_key_that_is_not_reduced_is_refused(u):
    with pytest.raises(ProtocolViolation, match="canonical"):
        X.check_public(u.to_bytes(32, "little"))


@pytest.mark.parametrize("u", [2, 3, 9, Q - 2, Q // 2])
def test_ordinary_points_are_not_refused(u):
    key = u.to_bytes(32, "little")
    X.check_public(key)
    assert len(X.agree(X.load_secret(clamped(bytes(range(32)))), X.load_public(key))) == 32


@pytest.mark.parametrize("agreement", [X, P], ids=["x25519", "p256"])
def test_both_ends_agree_and_strangers_do_not(agreement):
    secrets = [agreement.load_secret(agreement.generate(SYSTEM)) for _ in range(3)]
    publics = [agreement.public_of(secret) for secret in secrets]
    for key in publics:
        agreement.check_public(key)
        assert len(key) == agreement.public_key_bytes
    shared = agreement.agree(secrets[0], agreement.load_public(publics[1]))
    assert len(shared) == 32
    assert shared == agreement.agree(secrets[1], agreement.load_public(publics[0]))
    assert shared != agreement.agree(secrets[2], agreement.load_public(publics[0]))


@pytest.mark.parametrize("agreement", [X, P], ids=["x25519", "p256"])
@pytest.mark.parametrize("size", [0, 1, 31, 33, 64, 66])
def test_keys_of_the_wrong_size_are_refused(agreement, size):
    with pytest.raises(ProtocolViolation):
        agreement.load_public(b"\x04" + bytes(size - 1) if size else b"")


@pytest.mark.parametrize(
    "key",
    [
        bytes(65),
        b"\x04" + bytes(64),
        b"\x04" + (5).to_bytes(32, "big") * 2,
        b"\x00",
        b"\x04" + b"\xff" * 64,
    ],
    ids=["zeros", "origin", "off the curve", "infinity", "beyond the field"],
)
def test_p256_bytes_that_are_no_point_are_refused(key):
    for check in (P.check_public, P.load_public):
        with pytest.raises(ProtocolViolation):
            check(key)


def test_p256_compressed_and_hybrid_points_are_refused():
    public = ec.derive_private_key(7, ec.SECP256R1()).public_key().public_numbers()
    x, y = public.x.to_bytes(32, "big"), public.y.to_bytes(32, "big")
    P.check_public(b"\x04" + x + y)
    for key in (bytes([2 + public.y % 2]) + x, bytes([6 + public.y % 2]) + x + y):
        with pytest.raises(ProtocolViolation):
            P.check_public(key)


def test_p256_secret_keys_are_never_zero_nor_the_order():
    class Constant:
        def __init__(self, value):
            self.value = value

        def bytes(self, count):
            return self.value.to_bytes(count, "big")

    for value, secret in ((0, 1), (P256_ORDER - 2, P256_ORDER - 1), (P256_ORDER - 1, 1), (P256_ORDER, 2)):
        made = int.from_bytes(P.generate(Constant(value)), "big")
        assert made == secret
        P.load_secret(made.to_bytes(32, "big"))
    for wrong in (0, P256_ORDER, 2**256 - 1):
        with pytest.raises(ValueError):
            P.load_secret(wrong.to_bytes(32, "big"))


def test_nist_p256_ecdh_known_answer():
    """NIST CAVS, ECC CDH primitive, P-256, count 0."""
    secret = bytes.fromhex("7d7dc5f71eb29ddaf80d6214632eeae03d9058af1fb6d22ed80badb62bc1a534")
    peer = bytes.fromhex(
        "04700c48f77f56584c5cc632ca65640db91b6bacce3a4df6b42ce7cc838833d287"
        "db71e509e3fd9b060ddb20ba5c51dcc5948d46fbf640dfe0441782cab85fa4ac"
    )
    shared = "46fc62106420ff012e54a434fbdd2d25ccc5852060561e68040dd7778997bd7b"
    assert P.agree(P.load_secret(secret), P.load_public(peer)).hex() == shared
