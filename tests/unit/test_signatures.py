"""Signatures: known answers, canonical form, and a failure that raises."""

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from secagg_protocols import AuthenticationError, ParameterError
from secagg_protocols.primitives.agreement import P256_ORDER
from secagg_protocols.primitives.randomness import SYSTEM
from secagg_protocols.primitives.signatures import SMALL_ORDER_Y, EcdsaP256, Ed25519

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


# --- keys that identify nobody. The curve, as RFC 8032 has it: −x² + y² = 1 + d·x²·y²

P = 2**255 - 19
D = -121665 * pow(121666, -1, P) % P
ORDER = 2**252 + 27742317777372353535851937790883648493
NEUTRAL = (0, 1)


def x_of(y):
    """Return an x-coordinate for y, or None where there is no point."""
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    root = pow(square, (P + 3) // 8, P)
    for candidate in (root, root * pow(2, (P - 1) // 4, P) % P):
        if candidate * candidate % P == square:
            return candidate
    return None


def add(one, other):
    """Add two points."""
    (x1, y1), (x2, y2) = one, other
    product = D * x1 * x2 * y1 * y2 % P
    x = (x1 * y2 + x2 * y1) * pow(1 + product, -1, P) % P
    return x, (y1 * y2 + x1 * x2) * pow(1 - product, -1, P) % P


def times(scalar, point):
    """Multiply a point."""
    result = NEUTRAL
    while scalar:
        if scalar & 1:
            result = add(result, point)
        point, scalar = add(point, point), scalar >> 1
    return result


def torsion():
    """Return the eight points whose order divides the cofactor."""
    y = 2
    while True:
        x = x_of(y)
        if x is not None:
            of_eight = times(ORDER, (x, y))
            if times(4, of_eight) != NEUTRAL:
                return [times(scalar, of_eight) for scalar in range(8)]
        y += 1


def encoded(point):
    """Encode a point."""
    x, y = point
    return (y | (x & 1) << 255).to_bytes(32, "little")


def decoded(key):
    """Decode a good key."""
    value = int.from_bytes(key, "little")
    y, odd = value & ((1 << 255) - 1), value >> 255
    x = x_of(y)
    return (x if x & 1 == odd else P - x), y


def every_form(y):
    """Return all 32-byte strings that say this y-coordinate: with either sign, and one P above where that fits."""
    return [(value | sign << 255).to_bytes(32, "little") for value in (y, y + P) if value < 1 << 255 for sign in (0, 1)]


SMALL = [form for y in sorted(SMALL_ORDER_Y) for form in every_form(y)]


def test_the_listed_points_of_small_order_are_those_that_there_are():
    points = torsion()
    assert len(set(points)) == 8
    assert {y for _, y in points} == SMALL_ORDER_Y
    assert {encoded(point) for point in points} <= set(SMALL)
    assert len(SMALL) == 2 * (5 + 2)  # 0 and 1 fit once more above P


@pytest.mark.parametrize("key", SMALL, ids=lambda key: key.hex()[:8] + key.hex()[-4:])
def test_a_key_of_small_order_is_refused_in_every_encoding(key):
    with pytest.raises(ParameterError, match=r"small order|canonical"):
        Ed25519().check_public(key)


@pytest.mark.parametrize("key", SMALL, ids=lambda key: key.hex()[:8] + key.hex()[-4:])
def test_under_such_a_key_anybody_could_sign_one_message_in_eight(key):
    """What the check is for. S = 0, and R a point of small order: the equation then knows no secret."""
    verified = 0
    for message in range(400):
        for point in torsion_keys():
            try:
                Ed25519().verify(key, point + bytes(32), bytes([message % 256, message // 256]))
                verified += 1
                break
            except AuthenticationError:
                continue
        if verified:
            return
    pytest.fail("nothing verifies under this key")


def torsion_keys(found=[]):  # noqa: B006  (computed once)
    if not found:
        found += [encoded(point) for point in torsion()]
    return found


def test_keys_with_a_part_of_small_order_and_strings_off_the_curve_are_refused():
    scheme = Ed25519()
    key = scheme.public_of(scheme.load(scheme.generate(SYSTEM)))
    point = decoded(key)
    assert encoded(point) == key
    for small in torsion():
        other = encoded(add(point, small))
        if small == NEUTRAL:
            scheme.check_public(other)
            continue
        with pytest.raises(ParameterError, match="prime order"):
            scheme.check_public(other)
    off = next(y for y in range(2, 100) if x_of(y) is None)
    with pytest.raises(ParameterError, match="prime order"):
        scheme.check_public(off.to_bytes(32, "little"))


def test_a_y_coordinate_above_p_is_refused():
    scheme = Ed25519()
    for y in range(2, 19):
        for form in every_form(y)[2:]:
            with pytest.raises(ParameterError, match="canonical"):
                scheme.check_public(form)


def test_the_same_ed25519_signature_with_a_larger_s_is_refused():
    """S and S + L solve one equation: S below the order is what makes a signature have one form."""
    scheme = Ed25519()
    key = scheme.load(scheme.generate(SYSTEM))
    signature = scheme.sign(key, b"m")
    s = int.from_bytes(signature[32:], "little")
    assert s < ORDER
    for multiple in range(1, 16):
        if s + multiple * ORDER < 1 << 256:
            with pytest.raises(AuthenticationError):
                scheme.verify(
                    scheme.public_of(key), signature[:32] + (s + multiple * ORDER).to_bytes(32, "little"), b"m"
                )


def test_a_p256_key_is_taken_in_one_encoding():
    scheme = EcdsaP256()
    key = scheme.load(scheme.generate(SYSTEM))
    good = scheme.public_of(key)
    compressed = key.public_key().public_bytes(serialization.Encoding.X962, serialization.PublicFormat.CompressedPoint)
    assert ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), compressed) == key.public_key()
    hybrid = bytes([6 + (good[-1] & 1)]) + good[1:]
    scheme.check_public(good)
    for other in (compressed, hybrid, b"\0", b"\x04" + bytes(64), good + b"\0"):
        with pytest.raises(ParameterError, match="uncompressed point"):
            scheme.check_public(other)
