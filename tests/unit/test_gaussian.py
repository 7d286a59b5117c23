"""The discrete Gaussian: exactly its table, symmetric, bounded, and decided by more bits where sixteen do not do."""

import math
from bisect import bisect_right
from decimal import Decimal, localcontext

import numpy as np
import pytest

from secagg_protocols.errors import ParameterError
from secagg_protocols.packing.masks import Keystream
from secagg_protocols.primitives.gaussian import Gaussian, distribution, gaussian

SIGMA = "4.513516668382048"
"""8/√π: twice the variance that ThresholdCkks is left with once a sum is opened."""

SIGMAS = ["1", "3.19", SIGMA, "9", "152.5"]
WHOLE = 1 << 80


def table_of(sigma):
    exactly = distribution(sigma)
    assert exactly.first == -exactly.last
    return exactly.steps, exactly.bound


class Script:
    """Uniform bytes of a test's choice: 16-bit numbers first, then 64-bit ones."""

    def __init__(self, first, more=()):
        self._answers = [np.array(first, dtype="<u2").tobytes(), np.array(more, dtype="<u8").tobytes()]

    def bytes(self, count):
        answer = self._answers.pop(0)
        assert len(answer) == count
        return answer


@pytest.mark.parametrize("sigma", SIGMAS)
def test_the_distribution_function_is_the_gaussian_s(sigma):
    steps, bound = table_of(sigma)
    assert steps[0] == 0
    assert steps[-1] == WHOLE
    assert len(steps) == 2 * bound + 2
    weights = [math.exp(-(k**2) / (2 * float(sigma) ** 2)) for k in range(-bound, bound + 1)]
    found = np.diff(np.array(steps, dtype=object)) / WHOLE
    np.testing.assert_allclose(found.astype(float), np.array(weights) / math.fsum(weights), rtol=1e-9, atol=2.0**-79)


@pytest.mark.parametrize("sigma", SIGMAS)
def test_the_distribution_is_symmetric_and_what_is_cut_off_weighs_nothing(sigma):
    steps, bound = table_of(sigma)
    assert all(abs(low + high - WHOLE) <= 1 for low, high in zip(steps, reversed(steps), strict=True))
    tail = 2 * sum(math.exp(-(k**2) / (2 * float(sigma) ** 2)) for k in range(bound + 1, 4 * bound))
    assert tail / (float(sigma) * math.sqrt(2 * math.pi)) < 2.0**-80


@pytest.mark.parametrize("sigma", SIGMAS)
def test_every_value_has_exactly_its_share_of_all_eighty_bit_numbers(sigma):
    """Count them: 2⁶⁴ for each of 2¹⁶ table entries that is decided, and the parts of those that are not."""
    sampler = gaussian(sigma)
    steps, bound = table_of(sigma)
    shares = [0] * (2 * bound + 1)
    for entry in range(1 << 16):
        if not sampler._undecided[entry]:
            shares[int(sampler._table[entry]) + bound] += 1 << 64
            continue
        low, end = entry << 64, (entry + 1) << 64
        index = bisect_right(steps, low) - 1
        while low < end:
            upto = min(end, steps[index + 1])
            shares[index] += upto - low
            low, index = upto, index + 1
    assert shares == [high - low for low, high in zip(steps, steps[1:], strict=False)]


def test_a_sample_is_as_near_to_its_distribution_as_the_documents_say():
    """Statistical distance over all values, in 80 digits: 2⁻⁷⁶ a sample, 2⁻⁴⁹·⁵ over 10⁸ of them."""
    steps, bound = table_of(SIGMA)
    with localcontext() as context:
        context.prec = 80
        variance = 2 * Decimal(SIGMA) ** 2
        weights = [(-Decimal(k * k) / variance).exp() for k in range(4 * bound)]
        whole = weights[0] + 2 * sum(weights[1:])
        near = sum(
            abs(weights[abs(k)] / whole - Decimal(steps[k + bound + 1] - steps[k + bound]) / WHOLE)
            for k in range(-bound, bound + 1)
        )
        far = 2 * sum(weights[bound + 1 :]) / whole
        distance = math.log2((near + far) / 2)
    assert -76.1 < distance < -76
    assert distance + math.log2(10**8) < -49.4


@pytest.mark.parametrize("sigma", SIGMAS)
def test_at_every_step_of_the_distribution_function_the_last_bit_decides(sigma):
    sampler = gaussian(sigma)
    steps, bound = table_of(sigma)
    inner = [(value, step) for value, step in enumerate(steps[1:-1]) if step & ((1 << 64) - 1)]
    assert inner
    for value, step in inner:
        entry, low = step >> 64, step & ((1 << 64) - 1)
        assert sampler._undecided[entry]
        below, above = sampler.sample(2, Script([entry, entry], [low - 1, low]))
        assert above > below
        assert below == bisect_right(steps, step - 1) - 1 - bound
        assert above == bisect_right(steps, step) - 1 - bound
        assert above >= value + 1 - bound


def test_the_ends_of_the_table_are_the_first_and_last_value_with_any_weight():
    sampler = gaussian(SIGMA)
    steps, bound = table_of(SIGMA)
    weighty = [value - bound for value, step in enumerate(steps[:-1]) if steps[value + 1] > step]
    ends = sampler.sample(2, Script([0, 65535], [0, (1 << 64) - 1]))
    assert ends.tolist() == [weighty[0], weighty[-1]]
    assert weighty[0] == -weighty[-1] > -bound


@pytest.mark.parametrize(("sigma", "distance"), [("4.513516668382048", -74), ("9", -73), ("152.5", -69), ("4096", -64)])
def test_what_a_sample_is_away_from_its_distribution_is_bounded(sigma, distance):
    sampler = gaussian(sigma)
    assert len(sampler.exactly.steps) * 2.0**-81 <= sampler.distance < 2.0**distance


@pytest.mark.parametrize("sigma", ["0.49", "4097", "-3", "NaN"])
def test_a_width_that_no_table_is_made_for_is_refused(sigma):
    with pytest.raises(ParameterError, match="width"):
        distribution(sigma)


def test_the_widest_is_decided_as_bit_by_bit():
    """In its tails thousands of steps fall into one entry of the table."""
    sampler = Gaussian("4096")
    steps = sampler.exactly.steps
    rng = np.random.default_rng(3)
    first = np.concatenate([[0] * 200, [65535] * 200, rng.integers(0, 1 << 16, 600)])
    more = rng.integers(0, 1 << 64, int(sampler._undecided[first].sum()), dtype=np.uint64)
    lows = iter(more.tolist())
    samples = sampler.sample(first.size, Script(first, more)).tolist()
    for high, sample in zip(first.tolist(), samples, strict=True):
        low = next(lows) if sampler._undecided[high] else 0
        assert sample == bisect_right(steps, high << 64 | low) - 1 - sampler.bound


def test_tables_of_one_width_have_one_name_and_of_others_another():
    names = {distribution(sigma).digest for sigma in ("2", "2.0", "2.000000001", "3")}
    assert len(names) == 3
    assert distribution("2").digest.hex().startswith("bfb4e74510a74004")


def test_undecided_entries_are_few_and_are_met():
    sampler = gaussian(SIGMA)
    assert 0 < sampler._undecided.sum() < 2 * sampler.bound
    first = np.arange(1 << 16)
    samples = sampler.sample(1 << 16, Script(first, [0] * int(sampler._undecided.sum())))
    assert (np.diff(samples.astype(int)) >= 0).all()


@pytest.mark.parametrize("sigma", SIGMAS)
def test_samples_follow_the_distribution(sigma):
    """Chi-square over a million samples of a fixed key; values expected less than ten times are one class."""
    sampler, count = gaussian(sigma), 1_000_000
    steps, bound = table_of(sigma)
    samples = sampler.sample(count, Keystream(bytes(range(16)))).astype(np.int64)
    assert np.abs(samples).max() <= bound == sampler.bound
    expected = np.diff(np.array(steps, dtype=object)).astype(float) / WHOLE * count
    found = np.bincount(samples + bound, minlength=expected.size)
    often = expected >= 10
    expected = np.append(expected[often], expected[~often].sum())
    found = np.append(found[often], found[~often].sum())
    statistic, freedom = float(((found - expected) ** 2 / expected).sum()), expected.size - 1
    assert statistic < freedom + 5 * math.sqrt(2 * freedom)
    assert abs(samples.mean()) < 5 * float(sigma) / math.sqrt(count)
    assert abs(samples.var() / float(sigma) ** 2 - 1) < 5 * math.sqrt(2 / count)
    assert abs((samples[1:] * samples[:-1]).mean()) < 5 * float(sigma) ** 2 / math.sqrt(count)


def test_given_their_sum_two_samples_are_a_narrower_gaussian_around_its_half():
    """What hint-RLWE rests on here: x given x + y = T is D_{Z, T/2, σ/√2}, exactly, whatever T is."""
    steps, bound = table_of(SIGMA)
    chance = np.diff(np.array(steps, dtype=object)).astype(float) / WHOLE
    for total in (-9, -1, 0, 1, 6, 13):
        ks = np.arange(max(-bound, total - bound), min(bound, total + bound) + 1)
        given = chance[ks + bound] * chance[total - ks + bound]
        narrow = np.exp(-((ks - total / 2) ** 2) / float(SIGMA) ** 2)
        np.testing.assert_allclose(given / given.sum(), narrow / narrow.sum(), rtol=1e-9, atol=1e-22)


def test_a_keystream_gives_the_same_samples_again_and_another_key_others():
    sampler = gaussian(SIGMA)
    first, again, other = (sampler.sample(5000, Keystream(key)) for key in (bytes(16), bytes(16), b"\x01" * 16))
    assert (first == again).all()
    assert (first != other).mean() > 0.5
    assert gaussian(SIGMA) is sampler
    assert sampler.sample(0, Keystream(bytes(16))).size == 0
