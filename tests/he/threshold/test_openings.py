"""The sum of keys out of wrong sums of shares: what comes out, and how little is tried when nothing can."""

import numpy as np
import pytest

from secagg_he import ThresholdCkks
from secagg_he.threshold import opening, steps
from secagg_he.threshold.opening import Opened, candidates
from secagg_protocols import InsecureDeterministicRandomness
from secagg_protocols.primitives.field import GF65537

PRIME = GF65537.prime
SHAPES = [(20, 14), (40, 27), (100, 67), (240, 160)]
RANDOMNESS = InsecureDeterministicRandomness(4)


@pytest.fixture(params=SHAPES, ids=lambda shape: "-".join(map(str, shape)))
def true(request):
    """Return sums that are right: (what was opened, the sum of the keys)."""
    n, t = request.param
    scheme = ThresholdCkks(n, 5, threshold=t)
    key = np.random.default_rng(n).integers(-300, 300, scheme.sharing.pieces * scheme.share_elements)
    secrets = key.reshape(scheme.sharing.pieces, -1) % PRIME
    noise = GF65537.uniform((scheme.sharing.privacy, scheme.share_elements), RANDOMNESS)
    sums = scheme.sharing.deal(secrets, noise, range(1, n + 1))
    opened = Opened(scheme, tuple(range(1, n + 1)), sums)
    right, _ = next(candidates(opened, frozenset(), RANDOMNESS))
    np.testing.assert_array_equal(right, key[: right.size])
    return opened, right


def some(opened, count):
    """Return positions of so many holders."""
    return np.random.default_rng(count).choice(len(opened.holders), count, replace=False)


def spoiled(opened, rows, lie=None):
    """Return the same with lies at these rows: garbage, or one and the same."""
    sums = opened.sums.copy()
    draw = np.random.default_rng(len(rows))
    sums[rows] = draw.integers(0, PRIME, sums[rows].shape) if lie is None else (sums[rows] + lie) % PRIME
    return Opened(opened.scheme, opened.holders, sums)


def first(opened, doubted=frozenset()):
    """Return the likeliest sum of keys, and the holders whose sums are off."""
    total, right = next(candidates(opened, doubted, RANDOMNESS))
    return total, opened.misfits(right)


def test_liars_in_concert_are_left_out_up_to_half_of_the_spare_holders(true):
    opened, key = true
    lie = np.random.default_rng(1).integers(1, PRIME, opened.sums.shape[1])
    rows = some(opened, (len(opened.holders) - opened.scheme.quorum) // 2)
    total, off = first(spoiled(opened, rows, lie))
    assert (total == key).all()
    assert off == sorted(opened.holders[row] for row in rows)


def test_independent_garbage_is_left_out_up_to_k_parts_in_k_plus_one_of_the_spare_holders(true):
    opened, key = true
    spare, columns = len(opened.holders) - opened.scheme.quorum, opened.scheme.share_elements
    rows = some(opened, min(spare - 1, spare * columns // (columns + 1)))
    assert len(rows) >= 0.95 * (spare - 1)
    total, off = first(spoiled(opened, rows))
    assert (total == key).all()
    assert off == sorted(opened.holders[row] for row in rows)


def test_one_liar_among_one_more_than_the_threshold_is_among_the_candidates_without_one(true):
    opened, key = true
    t = opened.scheme.quorum
    fewer = opened.of(some(opened, t + 1).tolist())
    lie = np.random.default_rng(1).integers(1, PRIME, opened.sums.shape[1])
    for row in (0, t // 2, t):
        tried = list(candidates(spoiled(fewer, [row], lie), frozenset(), RANDOMNESS))
        assert len(tried) == t + 1
        for total, right in tried[:: max(1, t // 7)]:  # each is what its t holders give
            chosen = spoiled(fewer, [row], lie).of([fewer.holders.index(holder) for holder in right])
            assert (total == steps.key_sum(opened.scheme, chosen.holders, chosen.sums)).all()
        (found,) = [right for total, right in tried if (total == key).all()]
        assert fewer.holders[row] not in found


def test_doubted_holders_are_asked_last(true):
    opened, key = true
    spare = len(opened.holders) - opened.scheme.quorum
    lie = np.random.default_rng(1).integers(1, PRIME, opened.sums.shape[1])
    rows = some(opened, spare)  # in concert, and twice as many as the code alone can locate
    doubted = frozenset(opened.holders[row] for row in rows)
    total, off = first(spoiled(opened, rows, lie), doubted)
    assert (total == key).all()
    assert set(off) == doubted
    total, _ = first(opened, frozenset(opened.holders[: spare + 1]))  # or at once, where too few are left without them
    assert (total == key).all()


@pytest.mark.parametrize("wrong", ["all", "too many", "concert"])
def test_where_nothing_can_come_out_little_is_tried(true, wrong, monkeypatch):
    """Decodings are counted, each of m² steps and more: within what was meant for them, whatever liars do."""
    opened, _ = true
    m, spare = len(opened.holders), len(opened.holders) - opened.scheme.quorum
    lie = np.random.default_rng(1).integers(1, PRIME, opened.sums.shape[1])
    spoilt = {
        "all": lambda: spoiled(opened, range(m)),
        "too many": lambda: spoiled(opened, some(opened, spare)),
        "concert": lambda: spoiled(opened, some(opened, spare), lie),
    }[wrong]()
    counted = []
    real = opening.ShareCode.wrong_shares

    def counting(self, *arguments):
        counted.append(len(self.points))
        return real(self, *arguments)

    monkeypatch.setattr(opening.ShareCode, "wrong_shares", counting)
    for _ in candidates(spoilt, frozenset(), RANDOMNESS):
        pass
    assert len(counted) <= 2 + opening._GUESSES
    assert sum(size**2 for size in counted[2:]) <= opening._WORK
