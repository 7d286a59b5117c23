"""GF(65537) against Python's integers, at the extremes where float64 and 16 bits would show."""

import numpy as np
import pytest

from secagg_protocols.primitives import field
from secagg_protocols.primitives.randomness import InsecureDeterministicRandomness

P = 65537
EXTREMES = [0, 1, 2, 255, 256, 65534, 65535, 65536]


def test_the_prime_is_prime():
    assert field.PRIME == P
    assert all(P % divisor for divisor in range(2, 257))


def test_matrix_product_is_exact_at_the_extremes():
    left = np.array([[a, b] for a in EXTREMES for b in EXTREMES])
    right = np.array([EXTREMES, EXTREMES[::-1]])
    expected = [
        [sum(a * b for a, b in zip(row, column, strict=True)) % P for column in right.T.tolist()]
        for row in left.tolist()
    ]
    assert field.multiply(left, right).tolist() == expected


@pytest.mark.parametrize("terms", [1, 2, 32768, 65535, field.MAX_TERMS])
def test_inner_products_of_the_largest_elements_are_exact_in_float64(terms):
    """65536² · 2²⁰ = 2⁵² is below 2⁵³; an odd summand would be the first thing lost."""
    left, right = np.full((1, terms), 65536), np.full((terms, 1), 65536)
    right[-1, 0] = 65535
    expected = ((terms - 1) * 65536 * 65536 + 65536 * 65535) % P
    assert field.multiply(left, right).tolist() == [[expected]]
    assert (terms - 1) * 65536**2 + 65536**2 < 2**53


def test_every_nonzero_element_times_its_inverse_is_one():
    elements = np.arange(1, P, dtype=np.int64)
    assert np.all(elements * field.GF65537.inverse(elements) % P == 1)


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 8, 9, 100])
def test_powers_are_powers(count):
    points = np.array([1, 2, 3, 65535, 65536])
    table = field.GF65537.powers(points, count)
    assert table.tolist() == [[pow(int(x), k, P) for k in range(count)] for x in points]


@pytest.mark.parametrize("width", [1, 2, 3, 4, 5, 7, 8, 33])
def test_row_products(width):
    rows = np.random.default_rng(1).integers(1, P, (6, width))
    expected = []
    for row in rows.tolist():
        value = 1
        for element in row:
            value = value * element % P
        expected.append(value)
    assert field.GF65537.product(rows).tolist() == expected


def test_tables_multiply_and_divide_as_the_field_does():
    numbers = np.random.default_rng(2).integers(1, P, (500, 2))
    logs = field.logarithms(numbers)
    assert np.array_equal(field.from_logarithms(logs.sum(axis=1, dtype=np.uint16)), field.GF65537.product(numbers))
    assert np.array_equal(field.from_logarithms(-logs[:, 0]), field.GF65537.inverse(numbers[:, 0]))


def test_tables_hold_every_element_its_negative_and_zero_as_a_factor_of_one():
    elements = np.arange(1, P)
    assert np.array_equal(field.from_logarithms(field.logarithms(elements)), elements)
    assert np.array_equal(field.from_logarithms(field.logarithms(-elements)), P - elements)
    assert field.from_logarithms(field.logarithms(np.array([0]))).tolist() == [1]


def test_stacks_of_matrices_multiply_one_by_one():
    draw = np.random.default_rng(3)
    left, right = draw.integers(0, P, (4, 3, 50)), draw.integers(0, P, (4, 50, 2))
    assert np.array_equal(field.multiply(left, right), [field.multiply(a, b) for a, b in zip(left, right, strict=True)])


class Scripted:
    """Randomness that says what it is told."""

    def __init__(self, *answers: bytes) -> None:
        self.answers = list(answers)

    def bytes(self, count: int) -> bytes:
        answer = self.answers.pop(0)
        assert len(answer) == count
        return answer


def test_the_one_biased_word_is_drawn_again_until_it_is_another():
    """2³² − 1 is the only word left over by 65535 full copies of the field."""
    bad = b"\xff" * 4
    source = Scripted(b"\x05\0\0\0" + bad + bad, bad + b"\x07\0\0\0", b"\x00\x00\x01\x00")
    assert field.uniform((3,), source).tolist() == [5, 65536, 7]
    assert source.answers == []
    assert (2**32 - 1) % P == 0


def test_uniform_elements_reach_both_ends_and_are_spread_evenly():
    drawn = field.uniform((512, 1024), InsecureDeterministicRandomness(1))
    assert drawn.min() == 0
    assert drawn.max() == 65536
    counts, _ = np.histogram(drawn, bins=16, range=(0, P))
    expected = drawn.size / 16
    assert np.sum((counts - expected) ** 2 / expected) < 60  # 15 degrees of freedom: beyond 60 once in 10⁶
