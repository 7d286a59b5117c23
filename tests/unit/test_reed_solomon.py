"""Locating wrong shares: exactly to the radius, and never a silent lie beyond it."""

import numpy as np
import pytest

from secagg_protocols.primitives import shamir
from secagg_protocols.primitives.field import PrimeField
from secagg_protocols.primitives.randomness import SYSTEM, InsecureDeterministicRandomness
from secagg_protocols.primitives.reed_solomon import ShareCode, TooManyErrors

P = 65537


def codeword(points, threshold, columns, generator):
    """Return values of random polynomials at the points, in Python's integers."""
    polynomials = generator.integers(0, P, (columns, threshold)).tolist()
    rows = []
    for x in points:
        row = []
        for polynomial in polynomials:
            value = 0
            for coefficient in reversed(polynomial):
                value = (value * x + coefficient) % P
            row.append(value)
        rows.append(row)
    return np.array(rows, dtype=np.int64)


SHAPES = [(1, 1), (3, 1), (5, 3), (6, 3), (7, 3), (10, 4), (15, 5), (15, 14), (21, 11), (40, 11)]


@pytest.mark.parametrize(("holders", "threshold"), SHAPES)
def test_every_number_of_errors_up_to_the_radius_is_located(holders, threshold):
    generator = np.random.default_rng(holders * 100 + threshold)
    for _ in range(4):
        points = sorted(generator.choice(np.arange(1, 65536), holders, replace=False).tolist())
        code = ShareCode(points, threshold)
        assert code.correctable == (holders - threshold) // 2
        for errors in range(code.correctable + 1):
            elements = codeword(points, threshold, 7, generator)
            bad = generator.choice(holders, errors, replace=False)
            elements[bad] = (elements[bad] + generator.integers(1, P, (errors, 7))) % P
            assert code.wrong_shares(elements, SYSTEM) == {points[row] for row in bad}


WITH_SPARE = [(n, t) for n, t in SHAPES if n > t]


@pytest.mark.parametrize(("holders", "threshold"), WITH_SPARE)
def test_independent_garbage_of_all_but_one_spare_share_is_located(holders, threshold):
    generator = np.random.default_rng(holders)
    points = list(range(1, holders + 1))
    code = ShareCode(points, threshold)
    for errors in range(code.correctable + 1, holders - threshold):
        elements = codeword(points, threshold, 32, generator)
        bad = generator.choice(holders, errors, replace=False)
        elements[bad] = generator.integers(0, P, (errors, 32))
        assert code.wrong_shares(elements, SYSTEM) == {points[row] for row in bad}


@pytest.mark.parametrize(("holders", "threshold"), WITH_SPARE)
@pytest.mark.parametrize("rank", [1, 2, 5])
def test_liars_of_few_kinds_of_lies_are_located_up_to_the_bound_and_not_beyond(holders, threshold, rank):
    """2e < m − t + rank; beyond, `TooManyErrors`: another codeword as near has probability ≪ 2⁻⁴⁰ here."""
    generator = np.random.default_rng(holders)
    points, spare = list(range(1, holders + 1)), holders - threshold
    code = ShareCode(points, threshold)
    for errors in range(rank, spare + 1):
        elements = codeword(points, threshold, 16, generator)
        bad = generator.choice(holders, errors, replace=False)
        kinds = generator.integers(0, P, (rank, 16))
        elements[bad] = (elements[bad] + generator.integers(1, P, (errors, rank)) @ kinds) % P
        if 2 * errors < spare + rank:
            assert code.wrong_shares(elements, SYSTEM) == {points[row] for row in bad}
        else:
            with pytest.raises(TooManyErrors):
                code.wrong_shares(elements, SYSTEM)


@pytest.mark.parametrize(("holders", "threshold"), WITH_SPARE)
def test_as_many_wrong_shares_as_spare_ones_accuse_nobody_falsely_in_silence(holders, threshold):
    generator = np.random.default_rng(holders)
    points = list(range(1, holders + 1))
    code = ShareCode(points, threshold)
    for errors in range(holders - threshold, holders + 1):
        elements = codeword(points, threshold, 64, generator)
        elements[generator.choice(holders, errors, replace=False)] = generator.integers(0, P, (errors, 64))
        with pytest.raises(TooManyErrors):
            code.wrong_shares(elements, SYSTEM)


@pytest.mark.parametrize("prime", [(1 << 24) - 3, (1 << 31) - 1])
def test_other_fields_locate_as_many(prime):
    generator = np.random.default_rng(0)
    field = PrimeField(prime)
    points = np.arange(1, 31)
    elements = field.multiply(field.powers(points, 12), generator.integers(0, prime, (12, 40)))
    bad = generator.choice(30, 17, replace=False)
    elements[bad] = generator.integers(0, prime, (17, 40))
    assert ShareCode(points.tolist(), 12, field).wrong_shares(elements, SYSTEM) == set((bad + 1).tolist())


@pytest.mark.parametrize("columns", [1, 2, 16, 1000])
def test_an_error_in_a_single_column_is_found(columns):
    generator = np.random.default_rng(columns)
    points = [1, 4, 9, 16, 25, 36, 49]
    for column in {0, columns // 2, columns - 1}:
        elements = codeword(points, 3, columns, generator)
        elements[4, column] = (elements[4, column] + 1) % P
        assert ShareCode(points, 3).wrong_shares(elements, SYSTEM) == {25}


def test_errors_in_different_columns_of_different_holders_are_all_found():
    points = list(range(1, 12))
    elements = codeword(points, 3, 5, np.random.default_rng(0))
    for column, row in enumerate((2, 5, 7, 9)):
        elements[row, column] = (elements[row, column] + 12345) % P
    assert ShareCode(points, 3).wrong_shares(elements, SYSTEM) == {3, 6, 8, 10}


def test_errors_that_all_lie_on_another_polynomial_within_the_radius_are_located():
    """A coalition that agrees on one other polynomial is still a minority."""
    generator = np.random.default_rng(0)
    points = list(range(1, 10))
    truth, lie = codeword(points, 3, 4, generator), codeword(points, 3, 4, generator)
    elements = truth.copy()
    elements[:3] = lie[:3]
    assert ShareCode(points, 3).wrong_shares(elements, SYSTEM) == {1, 2, 3}


def test_a_majority_on_another_polynomial_makes_the_honest_look_wrong_and_commitments_must_decide():
    generator = np.random.default_rng(0)
    points = list(range(1, 10))
    truth, lie = codeword(points, 3, 4, generator), codeword(points, 3, 4, generator)
    elements = truth.copy()
    elements[:6] = lie[:6]
    assert ShareCode(points, 3).wrong_shares(elements, SYSTEM) == {7, 8, 9}


def test_with_exactly_t_shares_nothing_can_be_seen():
    elements = np.random.default_rng(0).integers(0, P, (4, 6))
    assert ShareCode((1, 2, 3, 4), 4).wrong_shares(elements, SYSTEM) == frozenset()


def test_one_spare_share_shows_an_error_without_saying_whose():
    points = [2, 3, 5, 7]
    elements = codeword(points, 3, 3, np.random.default_rng(1))
    assert ShareCode(points, 3).wrong_shares(elements, SYSTEM) == frozenset()
    elements[1, 1] = (elements[1, 1] + 1) % P
    with pytest.raises(TooManyErrors):
        ShareCode(points, 3).wrong_shares(elements, SYSTEM)


def test_extremes_of_the_field_in_points_and_values():
    points = [1, 2, 3, 65533, 65534, 65535]
    elements = np.full((6, 3), 65536, dtype=np.int64)
    code = ShareCode(points, 2)
    assert code.wrong_shares(elements, SYSTEM) == frozenset()
    elements[5, 2] = 0
    elements[0, 0] = 65535
    assert code.wrong_shares(elements, SYSTEM) == {1, 65535}


def test_dealt_shares_are_codewords():
    shares = shamir.deal([bytes(range(32))] * 5, range(1, 20 + 1), 11, InsecureDeterministicRandomness(1))
    elements = shamir.decode(shares).reshape(20, -1)
    code = ShareCode(range(1, 21), 11)
    assert code.wrong_shares(elements, SYSTEM) == frozenset()
    elements[3] = (elements[3] + 1) % P
    assert code.wrong_shares(elements, SYSTEM) == {4}
