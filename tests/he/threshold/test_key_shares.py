"""What shares of keys tell, and what their opened sums tell: nothing, until there are enough."""

from itertools import combinations

import numpy as np
import pytest

from secagg_he import ThresholdCkks
from secagg_he.threshold import encoding, steps
from secagg_he.threshold.noise import DEGREE
from secagg_protocols.primitives import shamir
from secagg_protocols.primitives.coded import encoding_matrix
from secagg_protocols.primitives.field import GF65537

PRIME = GF65537.prime
SESSION = bytes(range(32))


# --- what shares and their sums tell


def rank(matrix):
    """Gauss, in Python's integers, modulo 65537."""
    rows, found = [list(map(int, row)) for row in matrix], 0
    for column in range(len(rows[0])):
        pivot = next((row for row in range(found, len(rows)) if rows[row][column] % PRIME), None)
        if pivot is None:
            continue
        rows[found], rows[pivot] = rows[pivot], rows[found]
        inverse = pow(rows[found][column], -1, PRIME)
        for row in range(found + 1, len(rows)):
            factor = rows[row][column] * inverse % PRIME
            rows[row] = [(a - factor * b) % PRIME for a, b in zip(rows[row], rows[found], strict=True)]
        found += 1
    return found


@pytest.mark.parametrize(("n", "t", "packing"), [(5, 3, 1), (7, 5, 2), (8, 6, 4)])
def test_few_shares_are_independent_of_the_key_and_the_threshold_gives_it(n, t, packing):
    """A holder's share is its row of the code times (key, uniform values): which rows leave the key open?"""
    matrix = encoding_matrix(GF65537, n, t).astype(np.int64)
    for holders in combinations(range(n), t - packing):
        assert rank(matrix[list(holders)][:, packing:]) == t - packing  # the uniform values alone hide all of it
    for holders in combinations(range(n), t):
        assert rank(matrix[list(holders)]) == t
    for holders in combinations(range(n), t - packing + 1):
        assert rank(matrix[list(holders)][:, packing:]) == t - packing  # one more begins to tell
    for holders in combinations(range(n), t - 1):
        assert rank(matrix[list(holders)]) == t - 1  # and not before t do they tell all


@pytest.mark.parametrize(("n", "t", "packing"), [(5, 3, 1), (7, 5, 2), (8, 6, 4)])
def test_the_shares_of_colluders_fit_any_other_key_as_well(deal, n, t, packing):
    scheme = ThresholdCkks(n, 5, threshold=t, packing=packing)
    colluders = tuple(range(2, 2 + t - packing))
    key, other = (steps.one_time_key(scheme, SESSION, who, bytes(32)) for who in (1, 2))
    dealt = deal(scheme, key, 1)
    seen = np.stack([encoding.decode_share(scheme, dealt[holder - 1]) for holder in colluders])
    secrets = np.zeros((packing, scheme.share_elements), dtype=np.int64)
    secrets.reshape(-1)[:DEGREE] = other % PRIME
    matrix = encoding_matrix(GF65537, n, t).astype(np.int64)[[holder - 1 for holder in colluders]]
    noise = solved(matrix[:, packing:], (seen - matrix[:, :packing] @ secrets) % PRIME)
    again = scheme.sharing.deal(secrets, noise, colluders)
    assert (again == seen).all()


def solved(matrix, values):
    """Return x with matrix · x = values modulo 65537."""
    rows = [[*map(int, row), *map(int, value)] for row, value in zip(matrix, values, strict=True)]
    size = len(rows)
    for column in range(size):
        pivot = next(row for row in range(column, size) if rows[row][column] % PRIME)
        rows[column], rows[pivot] = rows[pivot], rows[column]
        inverse = pow(rows[column][column], -1, PRIME)
        rows[column] = [value * inverse % PRIME for value in rows[column]]
        for row in range(size):
            if row != column and rows[row][column]:
                factor = rows[row][column]
                rows[row] = [(a - factor * b) % PRIME for a, b in zip(rows[row], rows[column], strict=True)]
    return np.array([row[size:] for row in rows], dtype=np.int64)


def test_as_many_holders_as_the_threshold_open_a_participant_and_fewer_do_not(launch, adversary):
    scheme = ThresholdCkks(6, 20, threshold=4, adversary=adversary)
    attack = launch(scheme)
    np.testing.assert_array_equal(attack.read(1, attack.key_from(1, 2, 3, 4, 5)), attack.vectors[1])
    nothing = np.zeros((scheme.share_elements // shamir.LIMBS, shamir.LIMBS), dtype=np.int64)
    attack.shares[5] = {1: shamir.encode(nothing).tobytes()}
    assert attack.read(1, attack.key_from(1, 2, 3, 4, 5)) is None
    assert "t = 4 share holders" in dict(scheme.leakage)["a server and participants beyond that number"]


def test_with_packing_one_share_more_than_is_harmless_gives_nearly_all_of_a_key_away(deal):
    """Why colluders count against t − ℓ, not t: an element of 16 bits tells two coefficients of 4 bits each."""
    scheme = ThresholdCkks(7, 5, threshold=5, packing=2)
    key = steps.one_time_key(scheme, SESSION, 1, bytes(32))
    dealt = deal(scheme, key, 1)
    colluders = (2, 4, 5, 7)
    assert len(colluders) == scheme.sharing.privacy + 1 == scheme.quorum - 1
    seen = np.stack([encoding.decode_share(scheme, dealt[holder - 1]) for holder in colluders])
    matrix = encoding_matrix(GF65537, 7, 5).astype(np.int64)[[holder - 1 for holder in colluders]]
    weights = np.append(solved(matrix[:3, 2:].T, -matrix[3:, 2:].T)[:, 0], 1)  # the uniform values cancel
    one, two = (int(factor) for factor in weights @ matrix[:, :2] % PRIME)
    left = weights @ seen % PRIME  # = one · (a coefficient) + two · (another)
    first = np.arange(-46, 47)[:, None]
    second = (left - one * first) % PRIME * pow(two, -1, PRIME) % PRIME
    second -= PRIME * (second > PRIME // 2)
    best = np.argmin(first**2 + second**2, axis=0)
    guess = np.concatenate([first[best, 0], np.take_along_axis(second, best[None], axis=0)[0]])
    assert (guess == key).mean() > 0.95


@pytest.mark.parametrize("packing", [1, 3])
def test_all_sums_that_are_opened_are_the_same_however_the_key_sum_is_split(deal, packing):
    """Move any amount from one key to another, and its polynomial with it: every holder opens what it opened before."""
    scheme = ThresholdCkks(5, 5, threshold=4, packing=packing)
    keys = [steps.one_time_key(scheme, SESSION, who, bytes(32)) for who in (1, 2)]
    dealt = [deal(scheme, key, who) for who, key in enumerate(keys)]
    moved = np.random.default_rng(1).integers(-20, 20, DEGREE)
    shift = deal(scheme, moved, 9)
    for index in range(5):
        one, two, by = (encoding.decode_share(scheme, shares[index]) for shares in (*dealt, shift))
        before = steps.add_shares(scheme, [dealt[0][index], dealt[1][index]])
        other = [
            shamir.encode(((part + sign * by) % PRIME).reshape(-1, 16)).tobytes()
            for part, sign in ((one, 1), (two, -1))
        ]
        assert other[0] != dealt[0][index]
        assert steps.add_shares(scheme, other) == before
    fitting = np.stack([encoding.decode_share(scheme, shift[index]) for index in range(4)])
    assert (steps.key_sum(scheme, (1, 2, 3, 4), fitting) == moved).all()  # those shares are of another key indeed


def test_the_opened_key_sum_reads_no_single_ciphertext(launch, adversary):
    attack = launch(ThresholdCkks(5, 20, adversary=adversary))
    attack.is_right(1, 2, 3, 4, 5)
    total = rest = attack.opened(1, 2, 3)
    assert (total == attack.opened(3, 4, 5)).all()
    for victim in range(1, 6):
        for guess in (total, total // 5, np.round(total / 5).astype(np.int64), np.zeros_like(total)):
            assert attack.read(victim, guess) is None
        key = attack.key_from(victim, 1, 2, 3)
        np.testing.assert_array_equal(attack.read(victim, key), attack.vectors[victim])
        rest = rest - key
    assert not rest.any()
