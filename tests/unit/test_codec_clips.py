"""A clip for each array: which entry is whose, what it does to the mean, and what is said of what was clipped."""

import pickle

import msgspec
import numpy as np
import pytest

from secagg.codec import Layout, MeanCodec, MeanTerms
from secagg.codec.clips import clip_text, read_clip
from secagg.codec.interface import PROBE
from secagg_protocols import InputError, InsecureDeterministicRandomness, ParameterError

NET = {
    "0.weight": np.zeros((16, 8), np.float32),
    "1.weight": np.zeros(16, np.float32),
    "1.running_var": np.zeros(16, np.float32),
    "2.weight": np.zeros((1, 16), np.float32),
}
LAYOUT = Layout.of(NET)


@pytest.mark.parametrize(
    ("clip", "found"),
    [
        (0.5, (0.5, 0.5, 0.5, 0.5)),
        ({"*": 0.5}, (0.5, 0.5, 0.5, 0.5)),
        ({"*running_var": 1000, "*": 0.5}, (0.5, 0.5, 1000, 0.5)),
        ({"*.weight": 0.5, "1.running_var": 1000}, (0.5, 0.5, 1000, 0.5)),
        ({"*.weight": 0.5, "1.*": 9, "1.weight": 1, "1.running_var": 2}, (0.5, 1, 2, 0.5)),
        ({"?.weight": 0.5, "[12].running_var": 1000}, (0.5, 0.5, 1000, 0.5)),
    ],
)
def test_an_arrays_own_name_decides_then_the_one_pattern_that_fits_then_the_rest(clip, found):
    assert tuple(MeanCodec(LAYOUT, clip=clip).clips.values()) == found


@pytest.mark.parametrize(
    ("clip", "words"),
    [
        ({"*.weight": 0.5}, r"no entry for array '1\.running_var': add one, or '\*' for the rest"),
        ({"*runing_var": 1000, "*": 0.5}, r"clip names '\*runing_var', which fits no array: the arrays are '0\.w"),
        (
            {"*.weight": 0.5, "0.*": 1, "*": 2},
            r"2 patterns for array '0\.weight' \('\*\.weight', '0\.\*'\).*by its name",
        ),
        ({}, r"no entry for array '0\.weight', "),
        ({f"layer{own}": 1.0 for own in range(65)}, "65 patterns or names of no array .* and 57 more.*at most 64"),
        ({"*": 0.5, "1.weight": float("nan")}, r"clip must be in .* for array '1\.weight', which is float32, not nan"),
        ({"*": 0.5, "1.weight": 10**400}, r"clip must be in .* for array '1\.weight'"),
        ({"*": 0.5, "1.weight": "wide"}, r"clip must be in .* for array '1\.weight', .* not 'wide'"),
    ],
)
def test_a_clip_that_somebody_did_not_mean_is_refused_by_name(clip, words):
    with pytest.raises(ParameterError, match=words):
        MeanCodec(LAYOUT, clip=clip)


@pytest.mark.parametrize(
    ("text", "clip"),
    [("0.5", 0.5), ("*running_var:1000, *:0.5", {"*running_var": 1000, "*": 0.5}), ("a:b:1e-7", {"a:b": 1e-7})],
)
def test_a_clip_is_one_line_of_a_configuration(text, clip):
    assert read_clip(text) == clip
    codec = MeanTerms.of({"clip": text, "weight_max": 0})
    assert codec == MeanTerms.of({"clip": clip, "weight_max": 0})


@pytest.mark.parametrize("text", ["wide", "", "*:", "*:0.5,", ":0.5", "*:0.5, *:0.5", "0.5, 0.5"])
def test_a_text_that_is_no_clip_is_refused(text):
    with pytest.raises(ParameterError, match=r"^clip: '"):
        read_clip(text)


def test_the_text_of_clips_is_short_and_means_the_same():
    clips = {"0.weight": 0.1, "1.weight": 0.1, "1.running_var": 1024.0, "2.weight": 2.0**-20}
    text = clip_text(clips)
    assert text == "1.running_var:1024.0, 2.weight:9.5367431640625e-07, *:0.1"
    assert MeanCodec(LAYOUT, clip=read_clip(text)).clips == clips


def test_clips_are_in_the_terms_in_one_order_and_in_the_digest():
    one = MeanCodec(LAYOUT, clip={"*running_var": 1000, "*": 0.5})
    other = MeanCodec(LAYOUT, clip={"*": 0.5, "*running_var": 1000})
    assert one.terms == other.terms
    assert one.terms.codec(LAYOUT).digest == one.digest == other.digest
    assert len({one.digest, MeanCodec(LAYOUT, clip={"*": 0.5, "*running_var": 999}).digest}) == 2
    assert pickle.loads(pickle.dumps(one)) == one
    hash(one)
    with pytest.raises(ParameterError, match=r"clips .* not sorted"):
        msgspec.structs.replace(one.terms, clip={"b": 1.0, "a": 1.0})


def test_terms_are_checked_before_there_is_a_model():
    MeanTerms.of({"clip": {"1.weight": 0.5}, "weight_max": 0}).check()
    for clip in (-1.0, {"1.weight": 0.0}, {"1.weight": 0.5, "2.weight": "wide"}):
        with pytest.raises(ParameterError, match="clip must be in"):
            MeanTerms.of({"clip": clip, "weight_max": 0}).check()
    assert PROBE.size == 1


def updates(sites=4):
    """Weights move by hundredths, the running variance by hundreds."""
    draw = np.random.default_rng(1)
    scales = {name: 500.0 if "running" in name else 0.05 for name in NET}
    return [
        {name: (scales[name] * draw.uniform(-1, 1, array.shape)).astype(np.float32) for name, array in NET.items()}
        for _ in range(sites)
    ]


def mean_of(codec, given):
    total = np.sum([codec.encode(one).vector.astype(np.uint64) for one in given], axis=0)
    return codec.decode(total, len(given))


def test_running_statistics_are_not_cut_and_weights_do_not_drown():
    given = updates()
    exact = {name: np.mean([one[name].astype(np.float64) for one in given], axis=0) for name in NET}

    def errors(clip):
        mean = mean_of(MeanCodec(LAYOUT, clip=clip, value_bits=16), given)
        return {name: np.abs(mean.arrays[name] - exact[name]).max() for name in NET}, mean

    cut, _ = errors(8.0)
    assert cut["1.running_var"] > 100
    drowned, _ = errors(1000.0)
    assert drowned["0.weight"] > 0.005
    right, mean = errors({"*running_var": 1000, "*": 0.1})
    assert right["1.running_var"] <= mean.error_bounds["1.running_var"] < 0.05
    assert right["0.weight"] <= mean.error_bounds["0.weight"] < 5e-6
    assert mean.error_bound == mean.error_bounds["1.running_var"]


def test_influence_is_said_of_the_array_with_the_widest_clip():
    found = MeanCodec(LAYOUT, clip={"*running_var": 1000, "*": 0.5}).influence(10)
    assert str(found) == (
        "one site can have moved any value of 1.running_var by 100 within its own range, and set it anywhere in ±1e+03 "
        "beyond it, others by less"
    )


def test_what_was_clipped_is_known_by_array():
    encoded = MeanCodec(LAYOUT, clip={"*running_var": 8, "*": 0.1}).encode(updates()[0])
    assert encoded.clipped_in.keys() == {"1.running_var"}
    assert encoded.clipped == encoded.clipped_in["1.running_var"] > 10
    assert str(encoded.clipped) not in repr(encoded)


def test_the_share_that_was_clipped_rides_in_the_sum_where_it_is_agreed():
    codec = MeanCodec(LAYOUT, clip={"*running_var": 8, "*": 0.1}, value_bits=24, metrics={"clipped-share": (0, 1)})
    given = updates()
    counts = [codec.encode(one).clipped for one in given]
    share = sum(counts) / len(counts) / LAYOUT.size
    assert mean_of(codec, given).metrics["clipped-share"] == pytest.approx(share, abs=1e-6)
    with pytest.raises(InputError, match="'clipped-share' is counted by the codec: leave it out"):
        codec.encode(given[0], metrics={"clipped-share": 0.0})


def test_a_mean_that_may_be_noise_says_so_with_its_bound(caplog):
    """Sites of 3 and 5 patients under a weight_max of a million."""
    arrays = {"w": np.array([1.0, -1.0, 0.0, 0.3])}

    def warned(value_bits):
        caplog.clear()
        codec = MeanCodec(Layout.of(arrays), clip=0.4, value_bits=value_bits, weight_max=10**6)
        vectors = [codec.encode(arrays, weight=weight).vector.astype(np.uint64) for weight in (3, 5)]
        mean = codec.decode(vectors[0] + vectors[1], 2)
        assert mean.error_bound == codec.error_bound(2, 8)
        return [record.getMessage() for record in caplog.records], mean.error_bound / 0.4

    said, share = warned(20)
    assert share == pytest.approx(0.477, abs=1e-3)
    assert said == [
        "secagg: the mean may be noise: rounding alone puts its values off by up to 48 % of their clip (2 sites of "
        "weight 8 together): take more value_bits than 20, or weight_max=1000000 nearer the largest weight"
    ]
    said, share = warned(24)
    assert share < 0.03
    assert not said


def test_tied_weights_come_back_equal():
    draw = np.random.default_rng(2)
    codec = None
    total = 0
    for site in range(3):
        tied = draw.normal(size=(40, 5)).astype(np.float32)
        update = {"embed": tied, "apart": draw.normal(size=(40, 5)).astype(np.float32), "head": tied.copy()}
        codec = codec or MeanCodec(Layout.of(update), clip=2.0, value_bits=8, weight_max=9)
        encoded = codec.encode(update, weight=1 + site, randomness=InsecureDeterministicRandomness(site))
        assert encoded.clipped_in.get("embed") == encoded.clipped_in.get("head")
        total = total + encoded.vector.astype(np.uint64)
    arrays = codec.decode(total, 3).arrays
    np.testing.assert_array_equal(arrays["embed"], arrays["head"])
    assert (arrays["embed"] != arrays["apart"]).mean() > 0.9


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (
            {name: f"module.{name}" for name in NET},
            "their names have 'module.' before them; take the state dict of the",
        ),
        ({name: name[2:] if name[0] == "1" else name for name in NET}, "array '1.weight' is missing"),
    ],
)
def test_names_that_differ_by_a_prefix_are_said_to(names, words):
    renamed = {names[name]: array for name, array in NET.items()}
    with pytest.raises(InputError, match=words):
        MeanCodec(LAYOUT, clip=1.0).encode(renamed)
    if words.startswith("their"):
        with pytest.raises(InputError, match=r"their names lack 'module\.'"):
            MeanCodec(Layout.of(renamed), clip=1.0).encode(NET)
