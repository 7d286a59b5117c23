"""Rounding to a discrete Gaussian around a real number: exactly its table, and what sums of it are."""

import math
from fractions import Fraction

import numpy as np
import pytest

from secagg_protocols.errors import InputError
from secagg_protocols.packing.masks import Keystream
from secagg_protocols.primitives.gaussian import distribution
from secagg_protocols.primitives.rounding import GRID, LARGEST, rounder

KEY = bytes(range(16))


def exactly(centre, sigma, reach):
    ks = np.arange(math.floor(centre - reach), math.ceil(centre + reach) + 1)
    weights = np.exp(-((ks - centre) ** 2) / (2 * sigma * sigma))
    return ks, weights / math.fsum(weights)


@pytest.mark.parametrize("centre", [0, 1, 77, 128, 255])
def test_each_centre_s_table_is_the_gaussian_around_it(centre):
    centred = distribution("2", Fraction(centre, GRID))
    found = np.diff(np.array(centred.steps, dtype=object)).astype(float) / 2.0**80
    ks, expected = exactly(centre / GRID, 2, 30)
    expected = expected[np.searchsorted(ks, centred.first) :][: found.size]
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=2.0**-79)


@pytest.mark.parametrize("value", [0.0, -0.5, 3.25, -7 - 77 / 256])
def test_what_lies_on_the_grid_is_rounded_by_its_own_table(value):
    """Chi-square over half a million draws; values expected less than ten times are one class."""
    count = 500_000
    drawn = rounder("2").round(np.full(count, value), Keystream(KEY))
    ks, chance = exactly(value, 2, 24)
    found = np.bincount(drawn - ks[0], minlength=ks.size)
    often = chance * count >= 10
    expected = np.append(chance[often], chance[~often].sum()) * count
    found = np.append(found[often], found[~often].sum())
    statistic = float(((found - expected) ** 2 / expected).sum())
    freedom = expected.size - 1
    assert statistic < freedom + 5 * math.sqrt(2 * freedom)


def test_what_lies_between_keeps_its_mean_and_has_little_more_than_the_variance():
    values = np.linspace(-50, 50, 1_000_000)
    error = rounder("2").round(values, Keystream(KEY)) - values
    assert abs(error.mean()) < 5 * 2 / 1000
    assert abs(error.var() / 4 - 1) < 5 * math.sqrt(2 / 1_000_000)


def test_one_dither_rounds_the_difference_of_two_vectors():
    """Why the grid adds d/4/256² to a squared sensitivity and no more: the same uniform bytes, two inputs."""
    one = np.random.default_rng(1).normal(size=100_000)
    other = one + np.random.default_rng(2).normal(size=one.size) / 100
    source = np.frombuffer(Keystream(KEY).bytes(2 * one.size), dtype="<u2") * 2.0**-16
    difference = np.floor(one * GRID + source) - np.floor(other * GRID + source)
    between = (one - other) * GRID
    assert np.isin(difference - np.floor(between), (0, 1)).all()
    assert abs((difference - between).mean()) < 5 * 0.5 / math.sqrt(one.size)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 2 * LARGEST])
def test_what_a_double_cannot_hold_to_the_grid_is_refused(value):
    with pytest.raises(InputError, match="clip it"):
        rounder("2").round(np.array([0.0, value]), Keystream(KEY))


def test_shape_and_repetition():
    values = np.arange(12.0).reshape(3, 4) / 7
    drawn = rounder("2").round(values, Keystream(KEY))
    assert drawn.shape == values.shape
    assert (drawn == rounder("2").round(values, Keystream(KEY))).all()
    assert np.abs(drawn - values).max() <= rounder("2").bound + 1
    assert rounder("2").round(np.empty(0), Keystream(KEY)).size == 0
    assert 0 < rounder("2").distance < 2.0**-75
