"""What a server opens is a function of the sum: federations whose vectors add up to the same look alike to it.

Compared is everything that the server holds once the masks are off, or the keys open: whole words, field elements,
decrypted coefficients, released plaintexts. Where keys and errors follow a seed they are the same for both federations,
so any difference comes from the vectors.
"""

from types import SimpleNamespace

import numpy as np
import pytest

from secagg import Bonawitz
from secagg.codec import CalibrationCodec, Layout, MeanCodec
from secagg.conformance.fixtures import make_round as make_round
from secagg.conformance.fixtures import pytest_generate_tests as pytest_generate_tests
from secagg.conformance.ours import CASES as OURS
from secagg_protocols import InsecureDeterministicRandomness, LightSecAgg, ParameterError

CASES = list({(case.sample.name, case.sample.guarantee.sum_known_to): case for case in reversed(OURS)}.values())
"""One of each scheme, and of each party that is given the sum: curves, signatures, early keys and colluders change
nothing of the words that are summed."""

MEMBERS = 4
WIDTHS = [1, 2, 7, 8, 15, 16, 17, 22, 23, 24, 29, 30, 31, 32, 33, 40, 46, 47, 48, 53, 54, 57, 60, 61, 62]
"""Of values: up to 64 bits of a sum of four. Among them are those on both sides of every size of a word or element."""


def federations(value_bits):
    """Return vectors of four sites, shape (federations, sites, coordinates): a coordinate has one sum in all of them.

    Carries at, up to and through every bit; all mass at one site, or spread as evenly as can be; small steps down and
    up from the middle of the range.
    """
    top, middle = (1 << value_bits) - 1, 1 << value_bits - 1
    columns = [[(top, 0, 0, 0), spread(top), (top - 1, 1, 0, 0)], [(top, top, 0, 0), spread(2 * top), (top, 0, 0, top)]]
    columns.append([(0, top, top, top), spread(3 * top), (top, top, top, 0)])
    for bit in range(value_bits):
        one = 1 << bit
        columns.append([(one, 0, 0, 0), (one - 1, 1, 0, 0), (one // 2, one - one // 2, 0, 0)])
        columns.append([(one - 1, one, 1, 0), (one, one, 0, 0), spread(2 * one)])
    if value_bits > 2:
        columns.append([(middle - 3, middle + 1, middle + 1, middle + 1), (middle - 1, middle + 1) * 2, (middle,) * 4])
    made = np.array(columns, dtype=np.uint64).transpose(1, 2, 0)
    for other in made[1:]:
        assert [sum(map(int, column)) for column in other.T] == [sum(map(int, column)) for column in made[0].T]
    return made


def spread(total):
    """Return a sum as four parts that differ by one at most."""
    return tuple((total + member) // MEMBERS for member in range(MEMBERS))


@pytest.fixture
def opened_by(make_round, monkeypatch):
    """Return a callable that runs a round and gives what its server opened: arrays, in order."""

    def run(scheme, vectors):
        seen = []
        with monkeypatch.context() as patch:
            record(patch, seen)
            running = make_round(scheme, vectors=dict(enumerate(vectors, start=1))).finish()
        running.check()
        output = running.server.output
        if not seen:
            lanes = output.lanes
            whole = np.uint64((1 << 8 * lanes.word_bytes) - 1)  # beyond its own bytes a word has those of others
            seen.append(output.words & whole)
        return SimpleNamespace(running=running, arrays=seen)

    return run


def record(patch, seen):
    """Have the steps that open a sum put down what they return."""
    from secagg_he.single_key.packing import Packing
    from secagg_he.threshold import steps as threshold
    from secagg_protocols.lightsecagg import steps as lightsecagg

    unmask, decrypt, output = lightsecagg.unmask, threshold.decrypt, Packing.output

    def unmasked(*arguments):
        seen.append(unmask(*arguments))
        return seen[-1].copy()

    def decrypted(*arguments):
        words, errors = decrypt(*arguments)
        seen.extend((words.copy(), np.array([errors.count, errors.largest, errors.squares])))
        return words, errors

    def released(packing, words, survivors):
        seen.append(words.copy())
        return output(packing, words, survivors)

    patch.setattr(lightsecagg, "unmask", unmasked)
    patch.setattr(threshold, "decrypt", decrypted)
    patch.setattr(Packing, "output", released)


@pytest.mark.parametrize("value_bits", WIDTHS)
def test_equal_sums_look_alike_to_the_server(case, opened_by, value_bits):
    first, *others = federations(value_bits)
    scheme = case.make(MEMBERS, first.shape[1], value_bits=value_bits)
    reference = opened_by(scheme, first)
    for other in others:
        found = opened_by(scheme, other)
        assert len(found.arrays) == len(reference.arrays) > 0
        for one, two in zip(reference.arrays, found.arrays, strict=True):
            np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("participants", [127, 128, 129])
def test_equal_sums_look_alike_where_the_number_of_sites_makes_them_wide(opened_by, participants):
    """24-bit values of 129 sites have sums of 32 bits: no single field holds them."""
    top = (1 << 24) - 1
    scheme = LightSecAgg(participants, 2, value_bits=24, colluders=participants - 3, dropouts=0)
    assert (scheme.packing.words > scheme.length) == (participants > 128)
    heaped = np.zeros((participants, 2), dtype=np.uint64)
    heaped[0] = top
    even = np.full((participants, 2), top // participants, dtype=np.uint64)
    even[: top % participants] += np.uint64(1)
    (one,), (two,) = opened_by(scheme, heaped).arrays, opened_by(scheme, even).arrays
    np.testing.assert_array_equal(one, two)


def digits(vectors, bits):
    """Cut values as wide ones once were: their digits are coordinates of their own, and summed apart."""
    mask = np.uint64((1 << bits) - 1)
    return np.concatenate([vectors & mask, vectors >> np.uint64(bits)], axis=1)


def test_digits_that_are_summed_apart_tell_how_many_sites_moved_down(case, opened_by):
    """The attack: updates lie around the middle of the range, and each step below it borrows from the upper digit."""
    middle, bits, draw = 1 << 31, 16, np.random.default_rng(1)
    steps = draw.integers(1, 900, (MEMBERS, 40)) * draw.choice([-1, 1], (MEMBERS, 40))
    vectors = (middle + steps).astype(np.uint64)
    scheme = case.make(MEMBERS, 80, value_bits=bits)
    output = opened_by(scheme, digits(vectors, bits)).running.server.output
    if not output.words.size:
        pytest.skip("the server is not given the sum")
    upper = output.total[40:].astype(np.int64)
    moved_down = MEMBERS * (middle >> bits) - upper
    np.testing.assert_array_equal(moved_down, (steps < 0).sum(axis=0))


# --- the codec

ONE_ARRAY = {"w": np.ones(3, np.float32)}
"""At the clip: a coordinate is then a whole level for every odd weight, and nothing is rounded by chance."""


def summed(codec, sites):
    """Return what the server gets of sites, (weight, accuracy) each."""
    draw = InsecureDeterministicRandomness(1)
    vectors = [
        codec.encode(ONE_ARRAY, weight=weight, metrics={"accuracy": accuracy}, randomness=draw).vector.astype(np.uint64)
        for weight, accuracy in sites
    ]
    return np.sum(vectors, axis=0).tolist()


@pytest.mark.parametrize("value_bits", [1, 2, 7, 8, 10, 15, 16, 17, 24, 31, 32])
def test_equal_total_weights_and_metrics_look_alike_to_the_server(value_bits):
    top = (1 << value_bits) - 1
    ranges = {"accuracy": (0.0, 1.0)}
    codec = MeanCodec(Layout.of(ONE_ARRAY), clip=1.0, value_bits=value_bits, weight_max=top, metrics=ranges)
    third = max(1, top // 3 - 1 | 1)
    one = summed(codec, [(third, 1.0), (third, 1.0), (third, 1.0), (1, 0.0)])
    if third > 2:
        heaped = 3 * third - 2
        assert summed(codec, [(heaped, 1.0), (1, 1.0), (1, 1.0), (1, 0.0)]) == one
        assert summed(codec, [(1, 1.0), (third, 1.0), (2 * third - 1, 1.0), (1, 0.0)]) == one
    decoded = codec.decode(np.array(one, dtype=np.uint64), 4)
    assert decoded.weight == 3 * third + 1
    assert one[3:] == [3 * third + 1, 3 * third]  # these two numbers, and no digits of them


def test_equal_sums_of_counts_look_alike_to_the_server(case, opened_by):
    """Who has the values that are far off, all at one site or some at each, is not to be seen of a calibration."""
    far_at_one = [{"w": np.full(6, size)} for size in (0.001, 0.001, 0.001, 700.0)]
    some_at_each = [{"w": np.array([0.001] * 4 + [600.0] * 2)}] * 2 + [{"w": np.array([0.001] * 5 + [-900.0])}] * 2
    codec = CalibrationCodec(Layout.of(far_at_one[0]))
    views = []
    for sites in (far_at_one, some_at_each):
        scheme = case.make(MEMBERS, codec.length, value_bits=codec.value_bits)
        views.append(opened_by(scheme, np.stack([codec.encode(one).vector for one in sites]).astype(np.uint64)).arrays)
    for one, two in zip(*views, strict=True):
        np.testing.assert_array_equal(one, two)


def test_weights_that_would_need_digits_are_refused():
    with pytest.raises(ParameterError, match=r"weight_max=1000.*value_bits=8.*raise value_bits to 10"):
        MeanCodec(Layout.of(ONE_ARRAY), clip=1.0, value_bits=8, weight_max=1000)


def test_digits_of_weights_would_tell_federations_apart(opened_by):
    """The attack: totals of 1000 both times, and the server sees which it was."""
    scheme = Bonawitz(3, 2, value_bits=8)
    seen = {}
    for weights in ((900, 50, 50), (500, 499, 1)):
        vectors = digits(np.array(weights, dtype=np.uint64)[:, None], 8)
        low, high = opened_by(scheme, vectors).running.server.output.total.tolist()
        assert low + (high << 8) == 1000
        seen[weights] = low, high
    assert seen == {(900, 50, 50): (232, 3), (500, 499, 1): (488, 2)}
