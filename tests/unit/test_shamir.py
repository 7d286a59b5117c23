"""Shamir's sharing: any t shares are the secret, t − 1 are nothing."""

from itertools import combinations

import numpy as np
import pytest

from secagg_protocols import ProtocolViolation
from secagg_protocols.primitives import shamir
from secagg_protocols.primitives.randomness import InsecureDeterministicRandomness

P = 65537
SECRETS = [bytes(32), b"\xff" * 32, bytes(range(32))]


def slow_interpolation(points, values):
    """Return the value at 0 of the polynomial through these, in Python's integers."""
    total = 0
    for i, x in enumerate(points):
        numerator = denominator = 1
        for j, other in enumerate(points):
            if i != j:
                numerator, denominator = numerator * -other % P, denominator * (x - other) % P
        total += values[i] * numerator * pow(denominator, -1, P)
    return total % P


@pytest.mark.parametrize(("participants", "threshold"), [(1, 1), (2, 1), (2, 2), (5, 1), (5, 3), (5, 5), (6, 4)])
def test_any_t_shares_reconstruct_every_secret(participants, threshold):
    shares = shamir.deal(SECRETS, range(1, participants + 1), threshold, InsecureDeterministicRandomness(1))
    assert shares.shape == (participants, 3, shamir.SHARE_BYTES)
    elements = shamir.decode(shares)
    for chosen in combinations(range(1, participants + 1), threshold):
        assert shamir.reconstruct(chosen, elements[np.array(chosen) - 1]) == SECRETS
        limb = [int(elements[holder - 1, 2, 7]) for holder in chosen]
        assert slow_interpolation(chosen, limb) == int.from_bytes(SECRETS[2][14:16], "little")


def test_order_of_shares_does_not_matter():
    elements = shamir.decode(shamir.deal(SECRETS, range(1, 7 + 1), 4, InsecureDeterministicRandomness(1)))
    for points in ((7, 2, 5, 1), (1, 2, 5, 7), (5, 7, 1, 2)):
        assert shamir.reconstruct(points, elements[np.array(points) - 1]) == SECRETS


@pytest.mark.parametrize(("participants", "threshold"), [(1000, 501), (3000, 2001)])
def test_large_rounds_are_exact(participants, threshold):
    secrets = [bytes([255 - i]) * 32 for i in range(3)]
    elements = shamir.decode(
        shamir.deal(secrets, range(1, participants + 1), threshold, InsecureDeterministicRandomness(2))
    )
    points = tuple(range(participants - threshold + 1, participants + 1))
    assert shamir.reconstruct(points, elements[-threshold:]) == secrets


class AllOf:
    """Randomness that yields one given coefficient for every limb."""

    def __init__(self, coefficient: int) -> None:
        self.coefficient = coefficient

    def bytes(self, count: int) -> bytes:
        return self.coefficient.to_bytes(4, "little") * (count // 4)


def test_one_share_of_two_says_nothing_exactly():
    """t = 2: over all 65537 coefficients, a holder's share takes every value exactly once, whatever the secret."""
    coefficients = np.arange(P, dtype=np.int64)
    for secret in (0, 1, 65535):
        for holder in (1, 2, 65535):
            values = (secret + holder * coefficients) % P
            assert np.unique(values).size == P
    # and `deal` computes exactly that function of the coefficient
    for coefficient in (0, 1, 2, 65535, 65536):
        for secret in (0, 1, 65535):
            shares = shamir.deal([secret.to_bytes(2, "little") * 16], range(1, 3 + 1), 2, AllOf(coefficient))
            expected = [[(secret + holder * coefficient) % P] * 16 for holder in (1, 2, 3)]
            assert shamir.decode(shares)[:, 0].tolist() == expected


def test_shares_below_the_threshold_are_spread_alike_for_different_secrets():
    """t = 3, two holders together: each share alone is uniform for two very different secrets."""
    for secret in (bytes(32), b"\xff" * 32):
        elements = shamir.decode(shamir.deal([secret] * 4096, range(1, 3 + 1), 3, InsecureDeterministicRandomness(5)))
        for holder in (0, 1, 2):
            counts, _ = np.histogram(elements[holder], bins=16, range=(0, P))
            expected = elements[holder].size / 16
            assert np.sum((counts - expected) ** 2 / expected) < 60


def test_two_dealings_of_one_secret_share_nothing():
    first, second = (
        shamir.deal([bytes(32)], range(1, 5 + 1), 3, InsecureDeterministicRandomness(seed)) for seed in (1, 2)
    )
    assert not np.any(np.all(first == second, axis=-1))


def test_every_element_survives_encoding_and_the_largest_has_a_17th_bit():
    elements = np.array([[0, 1, 65535, 65536, 256, 255, 65280, 32768] * 2])
    encoded = shamir.encode(elements)
    assert encoded.shape == (1, 34)
    assert shamir.decode(encoded).tolist() == elements.tolist()
    assert encoded[0, 32:].any()
    low, high = encoded[0, :32].tobytes(), int.from_bytes(encoded[0, 32:].tobytes(), "big")
    assert [low[2 * i] | low[2 * i + 1] << 8 | (high >> (15 - i) & 1) << 16 for i in range(16)] == elements[0].tolist()


@pytest.mark.parametrize("limb", range(16))
@pytest.mark.parametrize("value", [65537, 65538, 131071])
def test_a_share_that_is_no_field_element_is_refused(limb, value):
    raw = shamir.encode(np.zeros((3, 16), dtype=np.int64))
    raw[1, 2 * limb : 2 * limb + 2] = list((value & 0xFFFF).to_bytes(2, "little"))
    raw[1, 32 + limb // 8] |= 1 << (7 - limb % 8)
    with pytest.raises(ProtocolViolation, match="65537"):
        shamir.decode(raw)


@pytest.mark.parametrize("limb", range(16))
@pytest.mark.parametrize("position", [0, 1, 2])
def test_checking_encoded_shares_refuses_what_decoding_them_would(limb, position):
    elements = np.zeros((3, 16), dtype=np.int64)
    elements[position, limb] = 65536
    encoded = bytearray(shamir.encode(elements).tobytes())
    shamir.check(bytes(encoded))
    encoded[34 * position + 2 * limb] = 1
    for shares in (bytes(encoded), memoryview(encoded)):
        with pytest.raises(ProtocolViolation, match="65537"):
            shamir.check(shares)


def test_canonical_shares_pass():
    shamir.decode(shamir.deal(SECRETS, range(1, 300 + 1), 150, InsecureDeterministicRandomness(9)))
    shamir.decode(shamir.encode(np.full((2, 16), 65536)))


def test_a_reconstructed_limb_that_is_no_16_bit_value_gives_no_secret():
    elements = np.zeros((2, 2, 16), dtype=np.int64)
    elements[:, 1, 3] = 65536  # the constant polynomial 65536
    assert shamir.reconstruct((1, 2), elements) == [bytes(32), None]


@pytest.mark.parametrize(("held", "threshold"), [(1, 1), (4, 4), (5, 4), (9, 4), (40, 11)])
def test_dealers_with_their_own_holders_each_are_reconstructed_together(held, threshold):
    generator = np.random.default_rng(held)
    secrets = [generator.bytes(32) for _ in range(20)]
    points = np.stack([generator.permutation(np.arange(1, 1 << 16))[:held] for _ in secrets])
    shares = [
        shamir.deal([secret], row.tolist(), threshold, InsecureDeterministicRandomness(secret))[:, 0]
        for secret, row in zip(secrets, points, strict=True)
    ]
    elements = shamir.decode(np.stack(shares))
    assert shamir.reconstruct_each(points, elements, threshold) == secrets
    for column in range(held):  # one wrong element is seen wherever it is, and gives no secret
        elements[column % 20, column, column % 16] = (elements[column % 20, column, column % 16] + 1) % P
    seen = [position < held and held > threshold for position in range(20)]
    found = shamir.reconstruct_each(points, elements, threshold)
    assert [found[position] is None for position in range(20)] == seen
    right = range(held, 20)
    assert [found[position] for position in right] == [secrets[position] for position in right]


def test_too_few_shares_give_another_secret():
    elements = shamir.decode(shamir.deal(SECRETS, range(1, 5 + 1), 4, InsecureDeterministicRandomness(3)))
    wrong = shamir.reconstruct((1, 2, 3), elements[:3])
    assert all(got != secret for got, secret in zip(wrong, SECRETS, strict=True))
