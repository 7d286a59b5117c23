"""Words that have no errors in common: each is decoded for itself, all at once."""

import numpy as np
import pytest

from secagg_protocols import SYSTEM
from secagg_protocols.primitives.field import PrimeField
from secagg_protocols.primitives.interpolation import Interpolation
from secagg_protocols.primitives.reed_solomon import ShareCode, TooManyErrors


@pytest.mark.parametrize("prime", [65537, (1 << 24) - 3, (1 << 31) - 1])
@pytest.mark.parametrize(("m", "t"), [(1, 1), (4, 4), (5, 4), (7, 4), (8, 4), (21, 6), (60, 31)])
def test_up_to_half_of_the_spare_shares_are_located_in_every_word(prime, m, t):
    draw, field = np.random.default_rng(m), PrimeField(prime)
    points = np.sort(draw.choice(np.arange(1, 200), m, replace=False))
    most = (m - t) // 2
    words = field.multiply(field.powers(points, t), draw.integers(0, prime, (t, 40)))
    wrong = np.zeros((m, 40), dtype=bool)
    for column in range(40):
        rows = draw.choice(m, column % (most + 1), replace=False)
        words[rows, column] = (words[rows, column] + draw.integers(1, prime, rows.size)) % prime
        wrong[rows, column] = True
    found_wrong, found = ShareCode(points.tolist(), t, field).wrong_apart(words)
    assert found.all()
    assert (found_wrong == wrong).all()


@pytest.mark.parametrize(("m", "t"), [(9, 4), (21, 6), (60, 31)])
def test_it_agrees_with_the_decoder_of_one_word(m, t):
    """Beyond half of them too: no word is found, or both find the same."""
    draw, field = np.random.default_rng(m), PrimeField(65537)
    points = list(range(1, m + 1))
    words = field.multiply(field.powers(np.array(points), t), draw.integers(0, 65537, (t, m + 1)))
    for column in range(m + 1):
        rows = draw.choice(m, column, replace=False)
        words[rows, column] = draw.integers(0, 65537, column)
    code = ShareCode(points, t)
    wrong, found = code.wrong_apart(words)
    for column in range(m + 1):
        try:
            alone = code.wrong_shares(words[:, column : column + 1], SYSTEM)
        except TooManyErrors:
            assert not found[column]
            continue
        assert found[column]
        assert {points[row] for row in np.flatnonzero(wrong[:, column])} == alone


@pytest.mark.parametrize("left_out", [0, 1, 7, 20])
def test_a_word_that_goes_by_some_shares_only_is_decoded_up_to_half_of_the_spare_ones_among_them(left_out):
    draw, field, m, t = np.random.default_rng(left_out), PrimeField(65537), 60, 31
    points = np.arange(1, m + 1)
    words = field.multiply(field.powers(points, t), draw.integers(0, 65537, (t, 30)))
    kept, wrong = np.ones((m, 30), dtype=bool), np.zeros((m, 30), dtype=bool)
    for column in range(30):
        rows = draw.permutation(m)
        out = rows[: min(column, left_out)]
        off = rows[left_out : left_out + (m - t - out.size) // 2]
        kept[out, column], wrong[off, column] = False, True
        words[out, column] = draw.integers(0, 65537, out.size)
        words[off, column] = (words[off, column] + draw.integers(1, 65537, off.size)) % 65537
    weights = Interpolation(points, t, SYSTEM).weights_of(kept.T).T
    found_wrong, found = ShareCode(points.tolist(), t).wrong_apart(words, weights)
    assert found.all()
    assert (found_wrong == wrong).all()
