"""Ckks rounds away every error that its parameters allow for: at the bound, at both ends of a word, and no further."""

import math
from itertools import product

import numpy as np
import pytest

from secagg_he import Ckks
from secagg_he.parameters import Need, Parameters, derive
from secagg_he.ring import ring
from secagg_he.single_key.packing import from_plaintexts
from secagg_protocols import ParameterError

WIDEST = [
    *product((2, 5, 1000, 65535), (1, 10_000, 10_000_000), (1, 16, 24, 32, 40, 48, 53), ((1, 30), (1000, 30), (0, 0))),
    *product((5, 65535), (1, 1_000_000), (1, 16, 24), ((1 << 32, 30), (1, 60), (1000, 70))),
]
"""(participants, length, bits of a value, (releases, flooding bits)): from the smallest to what no ring holds."""


def derivable() -> list[tuple[Need, Parameters]]:
    found = []
    for participants, length, bits, (releases, flooding_bits) in WIDEST:
        need = Need("ckks", participants, length, bits, releases, flooding_bits, 0)
        if need.sum_bits > 64:
            continue  # the scheme refuses it by that
        try:
            found.append((need, derive(need)))
        except ParameterError:
            continue
    return found


DERIVED = derivable()


def plaintext_of(parameters: Parameters, coefficients: list[int]) -> np.ndarray:
    """What decryption gives for these coefficients: residues modulo each prime, transformed."""
    padded = coefficients + [0] * (parameters.degree - len(coefficients))
    rows = [
        ring(parameters.degree, prime).forward(np.array([[value % prime for value in padded]], dtype=np.int64))
        for prime in parameters.primes
    ]
    return np.stack(rows, axis=1).astype(np.uint64)


def rounded(parameters: Parameters, words: list[int], noise: int) -> list[int]:
    scale = 1 << parameters.scale_bits
    plaintext = plaintext_of(parameters, [word * scale + noise for word in words])
    return from_plaintexts(parameters, plaintext, limit=1)[0, : len(words)].tolist()


def test_the_limits_are_among_what_is_tested():
    assert len(WIDEST) > len(DERIVED) > 100
    assert {found.degree for _, found in DERIVED} == {1024, 2048, 4096, 8192}
    assert max(found.modulus.bit_length() for _, found in DERIVED) >= 105  # of 106: two primes below 2⁵⁴
    assert {1, 2} <= {len(found.primes) for _, found in DERIVED}


@pytest.mark.parametrize(("need", "found"), DERIVED, ids=lambda value: str(value) if isinstance(value, Need) else "")
def test_every_word_is_right_whatever_the_noise_within_the_bound(need, found):
    top = need.participants * ((1 << need.value_bits) - 1)
    lanes = [1 << lane * found.lane_bits for lane in range(found.per_word)]
    largest = top * sum(lanes)
    words = [0, 1, top, largest, largest - 1, largest // 2, top * lanes[-1]]
    for noise in (0, 1, -1, found.noise_bound, -found.noise_bound):
        assert rounded(found, words, noise) == words
    half = 1 << found.scale_bits - 1
    assert found.noise_bound < half
    assert rounded(found, [1], half) == [2]  # and one step further it would not be
    assert rounded(found, [1], -half - 1) == [0]


@pytest.mark.parametrize(("need", "found"), DERIVED, ids=lambda value: str(value) if isinstance(value, Need) else "")
def test_the_bound_fails_in_no_more_than_one_round_of_two_to_the_forty(need, found):
    """Every coefficient of the longest sum, n errors of variance 21/2 each and flooding of the stated deviation: for
    a subgaussian X of deviation σ, P(|X| > kσ) ≤ 2 exp(−k²/2)."""
    errors = math.sqrt(10.5 * need.participants)
    k = (found.noise_bound - 1) / (found.deviation + errors)
    coefficients = found.ciphertexts * found.degree
    failing = coefficients * (4 if found.deviation else 2) * math.exp(-k * k / 2)
    assert failing <= 2.0**-40 * 1.001


@pytest.mark.parametrize("length", [100_000, 1_000_000, 10_000_000])
def test_exactness_inside_costs_less_than_guard_bits_outside(length):
    """Errors of up to 4 took four bits of every value to round away: in each lane of a word, not once below it."""
    for n, bits in product((5, 10, 100), (8, 16, 20, 24)):
        exact, guarded = Ckks(n, length, value_bits=bits), Ckks(n, length, value_bits=bits + 4, raw_precision=4)
        assert exact.parameters.upload_bytes < guarded.parameters.upload_bytes


@pytest.mark.parametrize("participants", [5, 100])
@pytest.mark.parametrize("value_bits", [8, 16, 24])
def test_a_million_exact_values_cost_a_twentieth_more_than_raw_ones(participants, value_bits):
    shape = {"participants": participants, "length": 1_000_000, "value_bits": value_bits}
    exact, raw = (Ckks(**shape, raw_precision=precision).parameters.upload_bytes for precision in (0, 4))
    assert raw < exact <= 1.05 * raw


def test_exact_and_raw_sums_are_two_schemes_and_need_two_keys(make_round):
    exact, raw = Ckks(3, 5), Ckks(3, 5, raw_precision=4)
    assert exact.id != raw.id
    with pytest.raises(ParameterError, match=r"made for .*off by up to 4 \(raw_precision\)"):
        make_round(exact, key=raw.make_group_key()[0])
