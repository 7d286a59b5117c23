"""The ring: exact at every extreme of its coefficients, and the same transform as SEAL's."""

import numpy as np
import pytest

from secagg_he import ring as module
from secagg_he.ring import MAX_MODULUS_BITS, canonical, centred, ring, ring_prime

N = 2048
WIDE = [(N, 54), (N, MAX_MODULUS_BITS), (4096, MAX_MODULUS_BITS), (N, 14), (N, 33)]
SMALL = [(2, 54), (4, 10), (8, 54), (16, MAX_MODULUS_BITS), (64, 55)]


def schoolbook(left, right, modulus):
    """Return the product in Z_q[X]/(X^N + 1), term by term."""
    degree = len(left)
    product = [0] * degree
    for i, one in enumerate(map(int, left)):
        for j, other in enumerate(map(int, right)):
            sign = 1 if i + j < degree else -1
            product[(i + j) % degree] += sign * one * other
    return [value % modulus for value in product]


def by_integers(left, right, modulus):
    """Return the same from one product of long integers: a coefficient every 16 bytes, X^N then taken for −1."""
    degree = len(left)

    def whole(polynomial):
        return int.from_bytes(b"".join((int(c) % modulus).to_bytes(16, "little") for c in polynomial), "little")

    data = (whole(left) * whole(right)).to_bytes(32 * degree, "little")
    terms = [int.from_bytes(data[16 * i : 16 * i + 16], "little") for i in range(2 * degree)]
    return [(low - high) % modulus for low, high in zip(terms[:degree], terms[degree:], strict=True)]


def extremes(degree, modulus):
    """Return polynomials whose coefficients go as far as they may: q − 1 and −(q − 1), all alike, in turns, alone."""
    top = modulus - 1
    rows = [np.full(degree, top), np.full(degree, -top), np.resize([top, -top], degree)]
    rows += [np.resize([-top, -top, top, top], degree), np.eye(1, degree, degree - 1, dtype=np.int64)[0] * -top]
    rows.append(np.random.default_rng(1).integers(-top, top, degree, endpoint=True))
    rows.append(np.random.default_rng(2).choice([-top, top], degree))
    return np.array(rows, dtype=np.int64)


def product(field, left, right):
    """Return the product of two polynomials by their transforms."""
    transforms = field.forward(np.stack([left, right]))
    return field.inverse(field.multiply(transforms[:1], transforms[1]))[0]


@pytest.mark.parametrize(("degree", "bits"), SMALL)
def test_products_of_extremes_are_the_schoolbook_s(degree, bits):
    field = ring(degree, ring_prime(degree, bits))
    rows = extremes(degree, field.modulus)
    for left in rows:
        for right in rows:
            expected = schoolbook(left, right, field.modulus)
            assert by_integers(left, right, field.modulus) == expected
            assert product(field, left, right).tolist() == expected


@pytest.mark.parametrize(("degree", "bits"), WIDE)
def test_products_of_extremes_are_exact_at_full_size(degree, bits):
    field = ring(degree, ring_prime(degree, bits))
    rows = extremes(degree, field.modulus)
    for left, right in [(0, 0), (1, 1), (0, 1), (2, 3), (4, 6), (5, 6), (6, 6)]:
        expected = by_integers(rows[left], rows[right], field.modulus)
        assert product(field, rows[left], rows[right]).tolist() == expected


@pytest.mark.parametrize(("degree", "bits"), SMALL + WIDE)
def test_forward_and_inverse_undo_each_other_and_stay_in_range(degree, bits):
    field = ring(degree, ring_prime(degree, bits))
    rows = extremes(degree, field.modulus)
    transforms = field.forward(rows)
    assert transforms.min() >= 0
    assert transforms.max() < field.modulus
    assert (field.inverse(transforms) == rows % field.modulus).all()
    residues = np.concatenate([rows % field.modulus, np.full((1, degree), field.modulus - 1)])
    polynomials = field.inverse(residues)
    assert polynomials.min() >= 0
    assert polynomials.max() < field.modulus
    assert (field.forward(polynomials) == residues).all()


@pytest.mark.parametrize("rows", [1, 7, 8, 9, 17])
def test_polynomials_of_a_batch_do_not_see_each_other(rows):
    field = ring(N, ring_prime(N, 54))
    batch = np.random.default_rng(rows).integers(0, field.modulus, (rows, N))
    before = batch.copy()
    together = field.forward(batch)
    assert (together == np.concatenate([field.forward(row[None]) for row in batch])).all()
    factor = together[-1]
    products = field.times_then_inverse(together, factor)
    assert (products == field.inverse(field.multiply(together, factor))).all()
    assert products[0].tolist() == by_integers(batch[0], batch[-1], field.modulus)
    assert (batch == before).all()


def test_the_transform_is_an_evaluation_at_the_odd_powers_of_a_root():
    field = ring(16, ring_prime(16, 30))
    root = module._primitive_root(16, field.modulus)
    polynomial = np.random.default_rng(3).integers(0, field.modulus, 16)
    values = {
        sum(int(c) * pow(root, odd * i, field.modulus) for i, c in enumerate(polynomial)) % field.modulus
        for odd in range(1, 32, 2)
    }
    assert set(field.forward(polynomial[None])[0].tolist()) == values


@pytest.mark.parametrize("bits", [14, 33, 54, 55])
def test_reduction_is_right_wherever_a_value_may_be(bits):
    modulus = ring_prime(N, bits)
    far = (1 << 63) - 1
    near = [sign * (k * modulus + d) for sign in (1, -1) for k in (0, 1, 2, 7, 15) for d in (-1, 0, 1)]
    values = [value for value in near if abs(value) <= far]
    found = canonical(np.array(values, dtype=np.int64), modulus)
    assert found.tolist() == [value % modulus for value in values]
    middle = np.array([0, 1, modulus // 2, modulus // 2 + 1, modulus - 1])
    assert centred(middle, modulus).tolist() == [0, 1, modulus // 2, -(modulus // 2), -1]


def test_primes_are_the_largest_of_their_size():
    assert ring_prime(N, 14) == 12289
    sieve = np.ones(1 << 16, dtype=bool)
    sieve[:2] = False
    for base in range(2, 256):
        if sieve[base]:
            sieve[base * base :: base] = False
    assert [module._is_prime(number) for number in range(1 << 14)] == sieve[: 1 << 14].tolist()
    for bits in (14, 15, 16):
        assert ring_prime(N, bits) == max(p for p in np.flatnonzero(sieve[: 1 << bits]).tolist() if p % (2 * N) == 1)


@pytest.mark.parametrize("composite", [2047, 3215031751, 3474749660383, 341550071728321, 3825123056546413051])
def test_numbers_that_look_prime_to_the_first_bases_are_not_taken_for_primes(composite):
    assert not module._is_prime(composite)


def seal_transform(degree, modulus, polynomial):
    """Return SEAL's transform of a polynomial with coefficients in (−2¹⁵, 2¹⁵)."""
    api = pytest.importorskip("tenseal.sealapi")
    plain_modulus = 65537
    parameters = api.EncryptionParameters(api.SCHEME_TYPE.BFV)
    parameters.set_poly_modulus_degree(degree)
    parameters.set_coeff_modulus([api.Modulus(modulus)])
    parameters.set_plain_modulus(plain_modulus)
    context = api.SEALContext(parameters, True, api.SEC_LEVEL_TYPE.NONE)
    terms = [f"{int(c) % plain_modulus:X}x^{i}" for i, c in reversed(list(enumerate(polynomial))) if i and c]
    plaintext = api.Plaintext(" + ".join([*terms, f"{int(polynomial[0]) % plain_modulus:X}"]))
    api.Evaluator(context).transform_to_ntt_inplace(plaintext, context.first_parms_id())
    return [plaintext.data(index) for index in range(degree)]


@pytest.mark.parametrize(("degree", "bits"), [(1024, 27), (2048, 54), (4096, 55), (8192, 50)])
def test_the_transform_is_seal_s(degree, bits):
    field = ring(degree, ring_prime(degree, bits))
    polynomial = np.random.default_rng(bits).integers(-(1 << 15) + 1, 1 << 15, degree)
    assert field.forward(polynomial[None])[0].tolist() == seal_transform(degree, field.modulus, polynomial)


@pytest.mark.parametrize(("degree", "bits"), [(2048, 54), (2048, 33), (4096, 40)])
def test_the_primes_are_those_that_seal_finds(degree, bits):
    api = pytest.importorskip("tenseal.sealapi")
    (found,) = api.CoeffModulus.Create(degree, [bits])
    assert ring_prime(degree, bits) == found.value()
