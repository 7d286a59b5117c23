"""Calibration: magnitudes are counted by powers of two, exactly, and the clips that follow are those that fit."""

import numpy as np
import pytest

from secagg.codec import CalibrationCodec, Layout, MeanCodec, ProposedClips, fit
from secagg.codec.clips import read_clip
from secagg.codec.proposed import HIGHEST, LOWEST, RANGES
from secagg_protocols import InputError, Plain


def counted(values):
    """Return the ranges in which values are counted, as exponents of their upper ends."""
    codec = CalibrationCodec(Layout.of([values]))
    vector = codec.encode([values]).vector
    assert vector.sum() == values.size
    return np.repeat(np.arange(RANGES), vector) + LOWEST


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_a_value_is_counted_under_the_smallest_power_of_two_that_covers_it(dtype):
    values = np.array([0.5, 0.500_5, -0.5, 1.0, 3.0, -4.0, 2.0**-10], dtype)
    assert sorted(counted(values)) == sorted([-1, 0, -1, 0, 2, 2, -10])


def test_the_ends_of_the_ranges_take_all_that_is_beyond():
    values = np.array([0.0, -0.0, 5e-324, 2.0**-40, 2.0**-32, 2.0**30, 2.0**30 * 1.01, -1e300])
    assert counted(values).tolist() == [LOWEST] * 5 + [HIGHEST - 1] + [HIGHEST] * 2


SCALES = {"weight": 0.01, "running_var": 300.0, "frozen": 0.0, "empty": 1.0}
SHAPES = {"weight": (700, 100), "running_var": (16,), "frozen": (5,), "empty": (0, 3)}


def updates(sites=4):
    draw = np.random.default_rng(3)
    return [{name: scale * draw.normal(size=SHAPES[name]) for name, scale in SCALES.items()} for _ in range(sites)]


def summed(codec, given):
    return np.sum([codec.encode(one).vector.astype(np.uint64) for one in given], axis=0)


def test_what_is_proposed_covers_999_of_1000_values_of_each_array_and_no_twice_narrower_clip_does():
    given = updates()
    codec = CalibrationCodec(Layout.of(given[0]))
    fit(Plain(4, codec.length, value_bits=codec.value_bits), codec)
    found = codec.decode(summed(codec, given), 4)
    assert (found.arrays, found.weight, found.metrics) == ({}, None, {})
    for name, clip in found.clips.clips.items():
        values = np.abs(np.concatenate([one[name].ravel() for one in given]))
        if values.any():
            assert (values <= clip).mean() >= 0.999 > (values <= clip / 2).mean()
    assert found.clips.clips["frozen"] == 2.0**LOWEST
    assert found.clips.clips["empty"] == found.clips.clips["running_var"] >= 512
    assert MeanCodec(codec.layout, clip=read_clip(found.clips.text)).clips == found.clips.clips


def test_a_person_sees_the_text_to_pin_and_what_a_single_site_can_have_moved():
    counts = {name: np.zeros(RANGES, np.uint64) for name in ("a", "b", "c")}
    for name, exponent, count in (("a", -3, 9990), ("a", 4, 10), ("b", -3, 9989), ("b", 4, 11), ("c", -3, 1)):
        counts[name][exponent - LOWEST] = count
    assert str(ProposedClips(counts)).splitlines() == [
        'clip = "b:16.0, *:0.125"',
        "  a: half of the values ≤ 0.125, 99.9 % ≤ 0.125, all ≤ 16",
        "  b: half of the values ≤ 0.125, 99.9 % ≤ 16, all ≤ 16",
        "  c: half of the values ≤ 0.125, 99.9 % ≤ 0.125, all ≤ 0.125",
    ]


def test_what_are_no_counts_of_such_arrays_proposes_nothing():
    given = updates()
    codec = CalibrationCodec(Layout.of(given[0]))
    total = summed(codec, given)
    total[RANGES] += 1
    with pytest.raises(InputError, match="'running_var' has 16 values at each of 4 survivors, and 65 were counted"):
        codec.decode(total, 4)
    total[RANGES] += 1 << 40
    with pytest.raises(InputError, match="above the"):
        codec.decode(total, 4)
    with pytest.raises(InputError, match="'weight' has 70000 values at each of 3 survivors"):
        codec.decode(summed(codec, given), 3)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_an_update_that_is_no_number_is_refused_at_the_site_by_name(bad):
    arrays = {"a": np.zeros(2), "b": np.array([0.0, bad])}
    with pytest.raises(InputError, match="'b' holds NaN or infinity"):
        CalibrationCodec(Layout.of(arrays)).encode(arrays)


def test_no_clip_is_proposed_for_what_is_beyond_all():
    arrays = {"a": np.ones(8), "b": np.full(8, 1e20)}
    codec = CalibrationCodec(Layout.of(arrays))
    with pytest.raises(InputError, match=r"0\.1 % of the values of 'b' by more than 2\^30: no clip is proposed"):
        codec.decode(summed(codec, [arrays] * 3), 3)


def test_weights_and_metrics_have_no_place_in_it():
    codec = CalibrationCodec(Layout.of([np.zeros(3)]))
    for more in ({"weight": 3}, {"metrics": {"loss": 0.5}}):
        with pytest.raises(InputError, match="neither weight nor metrics"):
            codec.encode([np.zeros(3)], **more)


def test_all_sites_make_the_same_codec_of_its_terms_and_nobody_can_choose_the_ranges():
    codec = CalibrationCodec(Layout.of([np.zeros(3)]))
    assert codec.terms.codec(codec.layout) == codec
    assert codec.terms.codec(codec.layout).digest == codec.digest
    assert codec.terms.__struct_fields__ == ()


def test_of_an_array_of_one_value_the_counts_are_a_list_of_all_magnitudes():
    """In plain sight: more than a mean tells, though not whose each is, and not its sign."""
    codec = CalibrationCodec(Layout.of({"bias": np.zeros(1)}))
    given = [{"bias": np.array([moved])} for moved in (0.4, -0.03, 0.25, 90.0)]
    (counts,) = codec.decode(summed(codec, given), 4).clips.counts.values()
    assert (2.0 ** (np.repeat(np.arange(RANGES), counts.astype(int)) + LOWEST)).tolist() == [0.03125, 0.25, 0.5, 128.0]


def test_nothing_is_out_of_the_range_of_a_calibration_and_any_site_can_raise_a_clip():
    codec = CalibrationCodec(Layout.of([np.full(3, 1e20, np.float32)]))
    (held,) = codec.in_range([np.full(3, 1e20, np.float32)])
    assert held.dtype == np.float64
    assert (held == np.float32(1e20)).all()
    assert codec.error_bound(5) == 0
    assert codec.influence(5).anywhere == 2.0**30
