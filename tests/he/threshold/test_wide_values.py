"""Sums that leave no room beside the noise in 54 bits: one lane in a ring of degree 4096, modulo two primes."""

import numpy as np
import pytest

from secagg import Policy, ProtocolViolation, simulate
from secagg_he import ThresholdCkks
from secagg_he.threshold import steps
from secagg_he.threshold.ciphertexts import Ciphertexts, CiphertextSum
from secagg_he.threshold.noise import DEGREE, MAX_LOG_Q, WIDE_DEGREE
from secagg_protocols import Workers

SESSION = bytes(range(32))
LENIENT = Policy(minimum_cohort=2)


@pytest.mark.parametrize(
    ("participants", "value_bits"), [(2, 44), (2, 47), (100, 38), (1000, 32), (2, 63), (4, 62), (40_000, 48)]
)
def test_the_larger_ring_is_taken_where_a_sum_does_not_fit_the_smaller_one(participants, value_bits):
    scheme = ThresholdCkks(participants, 10, value_bits=value_bits)
    needed = (participants * ((1 << value_bits) - 1) + 1) << scheme.shift
    fits = needed < 1 << MAX_LOG_Q[DEGREE] and participants * needed < 1 << 64
    assert scheme.degree == (DEGREE if fits else WIDE_DEGREE)
    assert scheme.plaintext.lanes.per_word == 1
    assert needed <= scheme.plaintext.modulus < needed << 3
    if not fits:
        assert scheme.plaintext.modulus.bit_length() <= 80 < MAX_LOG_Q[WIDE_DEGREE]
        assert len(set(scheme.plaintext.primes)) == 2
    assert participants * max(scheme.plaintext.primes) < 1 << 64


def made_up(scheme, plain, error):
    """Return (S, C): C = a·S + E + Δ·M modulo each prime, in Python's integers."""
    total = np.random.default_rng(1).integers(-900, 900, scheme.degree)
    noisy = (plain.astype(object) << scheme.shift) + error.astype(object)
    polynomials, parts = plain.size // scheme.degree, []
    for index, ring in enumerate(scheme.rings):
        a = steps.reference(scheme, SESSION, 0, polynomials, index)
        product = ring.times_then_inverse(a, ring.forward(total[None] % ring.modulus)[0])
        part = (product.astype(object) + noisy.reshape(product.shape)) % ring.modulus
        parts.append(part.astype(np.uint64))
    return total, np.stack(parts, axis=1).reshape(-1)


@pytest.mark.parametrize(("participants", "value_bits"), [(2, 47), (2, 63), (4, 62), (100, 40), (1000, 54)])
def test_wide_sums_at_both_ends_are_exact_up_to_the_very_bound_of_the_errors(participants, value_bits):
    scheme = ThresholdCkks(participants, 4000, value_bits=value_bits)
    assert scheme.degree == WIDE_DEGREE
    most, size = participants * ((1 << value_bits) - 1), 2 * scheme.degree
    plain = np.resize(np.array([0, 0, most, most, most // 3], dtype=np.uint64), size)
    error = np.resize(np.array([1, -1]) * scheme.error_bound, size)
    found, errors = steps.decrypt(scheme, SESSION, *without_block(made_up(scheme, plain, error)))
    assert (found == plain).all()
    assert errors.largest == scheme.error_bound


def without_block(of):
    total, residues = of
    return total, 0, residues


def test_a_word_beyond_64_bits_is_no_sum_of_honest_encryptions():
    scheme = ThresholdCkks(4, 4000, value_bits=62)
    plain = np.zeros(scheme.degree, dtype=object)
    plain[7] = 1 << 64
    total, residues = made_up(scheme, plain, np.zeros(plain.size, dtype=np.int64))
    _, errors = steps.decrypt(scheme, SESSION, total, 0, residues)
    assert not steps.is_noise(scheme, 4, [errors])


def test_the_references_modulo_the_two_primes_have_nothing_in_common():
    scheme = ThresholdCkks(4, 4000, value_bits=62)
    first, second = (steps.reference(scheme, SESSION, 0, 4, prime) for prime in (0, 1))
    small = min(ring.modulus for ring in scheme.rings)
    assert (first % small != second % small).mean() > 0.999
    for one, ring in ((first, scheme.rings[0]), (second, scheme.rings[1])):
        assert 0 <= one.min() <= one.max() < ring.modulus


@pytest.mark.parametrize("workers", [0, 1])
def test_wide_vectors_of_many_blocks_come_back(workers, process_pool):
    scheme = ThresholdCkks(3, 250_000, value_bits=60)
    assert scheme.ciphertexts.words > scheme.block_words
    draw = np.random.default_rng(2)
    vectors = [draw.integers(0, 1 << 60, scheme.length, dtype=np.uint64) for _ in range(3)]
    options = {"workers": Workers(process_pool(1), 1)} if workers else {}
    assert (simulate(scheme, vectors, policy=LENIENT, **options).total == sum(vectors)).all()


@pytest.mark.parametrize("index", [0, 1])
def test_a_value_that_is_no_residue_is_refused_modulo_either_prime(index):
    packing = ThresholdCkks(4, 4000, value_bits=62).ciphertexts
    residues = np.zeros((packing.polynomials, 2, packing.degree), dtype=np.uint64)
    residues[0, index, 9] = packing.primes[index] - 1
    packing.check(packing.to_bytes(residues.reshape(-1)))
    residues[0, index, 9] += np.uint64(1)
    with pytest.raises(ProtocolViolation, match=f"no residue modulo {packing.primes[index]}"):
        packing.check(packing.to_bytes(residues.reshape(-1)))


def test_the_sum_of_many_of_the_largest_residues_wraps_nowhere():
    """What residues have beyond their whole bytes is summed in 16 bits: it is carried over in time."""
    prime, uploads = ThresholdCkks(100, 10, value_bits=22).plaintext.primes[0], 1100
    assert prime.bit_length() % 8 == 7
    packing = Ciphertexts(1, DEGREE, (prime,))
    total, data = CiphertextSum(packing), packing.to_bytes(np.full(DEGREE, prime - 1, dtype=np.uint64))
    for sender in range(1, uploads + 1):
        assert total.take(sender, 0, data)
    total.settle()
    assert (total.words == uploads * (prime - 1)).all()
