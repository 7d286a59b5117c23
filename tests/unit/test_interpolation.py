"""Secrets and checks under any set of points that is left out, one dealer or many at a time."""

from itertools import combinations

import numpy as np
import pytest

from secagg_protocols.primitives import shamir
from secagg_protocols.primitives.interpolation import Interpolation
from secagg_protocols.primitives.randomness import SYSTEM, InsecureDeterministicRandomness

P = 65537
POINTS = np.array([1, 2, 5, 9, 13, 14, 200, 65535])
THRESHOLD = 4


def dealt(dealers, seed=1):
    """Return secrets and the elements of their shares, (m, dealers, LIMBS)."""
    secrets = [np.random.default_rng(seed + dealer).bytes(32) for dealer in range(dealers)]
    shares = shamir.deal(secrets, POINTS.tolist(), THRESHOLD, InsecureDeterministicRandomness(seed))
    return secrets, shamir.decode(shares)


def masks(dealers, fewest, seed=0):
    """Return which points are kept, at random, as many as `fewest` or more."""
    draw = np.random.default_rng(seed)
    counts = draw.integers(fewest, POINTS.size + 1, dealers)
    return np.stack([np.isin(np.arange(POINTS.size), draw.permutation(POINTS.size)[:count]) for count in counts])


@pytest.mark.parametrize("dealers", [1, 3, 40])
@pytest.mark.parametrize("alike", [True, False])
def test_whoever_is_left_out_the_others_give_the_secret_and_fit(dealers, alike):
    secrets, elements = dealt(dealers)
    kept = np.repeat(masks(1, THRESHOLD), dealers, axis=0) if alike else masks(dealers, THRESHOLD)
    limbs, off = Interpolation(POINTS, THRESHOLD, SYSTEM).read(kept, elements)
    assert shamir.secrets_of(limbs, off) == secrets


@pytest.mark.parametrize("dealers", [1, 3, 40])
def test_one_element_off_is_seen_at_any_point_that_is_kept_while_more_than_the_threshold_are(dealers):
    _, elements = dealt(dealers)
    kept = masks(dealers, THRESHOLD + 1)
    for row in range(POINTS.size):
        wrong = elements.copy()
        wrong[row, :, 3] = (wrong[row, :, 3] + 1) % P
        _, off = Interpolation(POINTS, THRESHOLD, SYSTEM).read(kept, wrong)
        assert (off == kept[:, row]).all()


@pytest.mark.parametrize("dealers", [1, 3, 40])
def test_words_off_the_polynomials_of_those_kept_are_told_apart(dealers):
    _, elements = dealt(dealers)
    kept = masks(dealers, THRESHOLD)
    draw = np.random.default_rng(3)
    lied = ~kept & (draw.random(kept.shape) < 0.5)
    words = elements.copy()
    words[lied.T] = (words[lied.T] + draw.integers(1, P, (lied.sum(), shamir.LIMBS))) % P
    others = ~kept & (draw.random(kept.shape) < 0.8)
    found = Interpolation(POINTS, THRESHOLD, SYSTEM).misfits(kept, others, words)
    assert (found == lied & others).all()


def test_guesses_are_the_secrets_of_every_set_of_threshold_points():
    _, elements = dealt(1)
    one, kept = elements[:, 0], np.array([True] * 6 + [False, True])
    one[2] = 17  # so that sets differ
    rows = np.flatnonzero(kept)
    guesses = Interpolation(POINTS, THRESHOLD, SYSTEM).guesses(one, kept, 1000, SYSTEM)
    found = {
        tuple(left.tolist()): secret for out, secrets in guesses for left, secret in zip(out, secrets, strict=True)
    }
    expected = {}
    for left in combinations(rows.tolist(), rows.size - THRESHOLD):
        used = [row for row in rows.tolist() if row not in left]
        expected[left] = shamir.reconstruct(POINTS[used].tolist(), one[used][:, None])[0]
    assert found == expected


def test_of_more_sets_than_may_be_tried_random_ones_are():
    _, elements = dealt(1)
    guesses = Interpolation(POINTS, THRESHOLD, SYSTEM).guesses(elements[:, 0], np.ones(8, dtype=bool), 60, SYSTEM)
    left_out = [tuple(sorted(left.tolist())) for out, _ in guesses for left in out]
    assert len(left_out) == 60
    assert all(len(set(left)) == 4 for left in left_out)
    assert len(set(left_out)) > 20
