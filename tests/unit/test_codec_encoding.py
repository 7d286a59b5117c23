"""Codec: shape of the vector, unbiased rounding, what is counted, what is shown and what travels."""

import copy
import dataclasses
import pickle

import numpy as np
import pytest

from secagg.codec import Layout, MeanCodec
from secagg.codec.quantise import BLOCK, stochastic_round
from secagg_protocols.primitives.randomness import InsecureDeterministicRandomness

ARRAYS = {"w": np.array([0.5, -0.25, 0.125], np.float32)}
LAYOUT = Layout.of(ARRAYS)


@pytest.mark.parametrize(
    ("value_bits", "weight_max", "metrics", "extra"),
    [
        (16, None, 0, 0),
        (16, 65535, 0, 1),
        (8, 255, 1, 1 + 1),
        (16, 1, 2, 1 + 2),
        (32, 9, 2, 1 + 2),
        (1, None, 3, 3),
    ],
)
def test_length_is_coordinates_and_one_for_the_weight_and_for_each_metric(
    value_bits: int, weight_max: int | None, metrics: int, extra: int
) -> None:
    ranges = {f"m{index}": (0.0, 1.0) for index in range(metrics)}
    codec = MeanCodec(LAYOUT, clip=1.0, value_bits=value_bits, weight_max=weight_max, metrics=ranges)
    assert codec.length == 3 + extra


def test_ends_are_the_lowest_and_highest_level_and_zero_is_half_way() -> None:
    arrays = [np.array([-2.0, 2.0, 0.0])]
    codec = MeanCodec(Layout.of(arrays), clip=2.0, value_bits=8, weight_max=10)
    vectors = [codec.encode(arrays, weight=10).vector[:3].tolist() for _ in range(50)]
    assert {(low, high) for low, high, _ in vectors} == {(0, 255)}
    assert {zero for _, _, zero in vectors} == {127, 128}


def test_one_participant_comes_back_within_a_step() -> None:
    codec = MeanCodec(LAYOUT, clip=1.0)
    decoded = codec.decode(codec.encode(ARRAYS).vector, survivors=1)
    assert np.abs(decoded.arrays["w"] - ARRAYS["w"]).max() <= codec.error_bound(1)
    assert decoded.arrays["w"].dtype == np.float32


def test_rounding_is_unbiased_to_the_draws_resolution() -> None:
    count = 1 << 20
    for fraction in (0.001, 0.25, 0.5, 0.9):
        rounded = stochastic_round(np.full(count, 7 + fraction), InsecureDeterministicRandomness(1))
        deviations = (rounded.mean() - 7 - fraction) / np.sqrt(fraction * (1 - fraction) / count)
        assert abs(deviations) < 5
        assert set(np.unique(rounded)) == {7.0, 8.0}


@pytest.mark.parametrize(("draw", "up"), [(0, True), (2**30 - 1, True), (2**30, False), (2**32 - 1, False)])
def test_a_quarter_rounds_up_for_exactly_a_quarter_of_the_draws(draw: int, up: bool) -> None:
    class OneDraw:
        def bytes(self, count: int) -> bytes:
            assert count == 4
            return draw.to_bytes(4, "little")

    assert stochastic_round(np.array([4.25]), OneDraw()).tolist() == [5.0 if up else 4.0]


def test_mean_over_many_survivors_is_unbiased() -> None:
    survivors, random = 2000, InsecureDeterministicRandomness(3)
    arrays = [np.full(100, 0.3)]
    codec = MeanCodec(Layout.of(arrays), clip=1.0, value_bits=2)
    total = sum(codec.encode(arrays, randomness=random).vector.astype(np.uint64) for _ in range(survivors))
    error = codec.decode(total, survivors).arrays[0].mean() - 0.3
    assert abs(error) < 5 * codec.step / 2 / np.sqrt(survivors * 100)


def test_arrays_longer_than_a_block_are_encoded_whole() -> None:
    arrays = {"a": np.linspace(-1, 1, 2 * BLOCK + 3), "b": np.linspace(1, -1, BLOCK)}
    codec = MeanCodec(Layout.of(arrays), clip=1.0, value_bits=24, weight_max=3)
    decoded = codec.decode(codec.encode(arrays, weight=2).vector, survivors=1)
    for name, array in arrays.items():
        assert np.abs(decoded.arrays[name] - array).max() <= codec.error_bound(1, 2)


def test_same_randomness_gives_the_same_vector_and_input_is_left_alone() -> None:
    codec, arrays = MeanCodec(LAYOUT, clip=0.2), {"w": ARRAYS["w"].copy()}
    first = codec.encode(arrays, randomness=InsecureDeterministicRandomness(5)).vector
    second = codec.encode(arrays, randomness=InsecureDeterministicRandomness(5)).vector
    assert np.array_equal(first, second)
    assert np.array_equal(arrays["w"], ARRAYS["w"])


def test_clipped_coordinates_and_metrics_are_counted() -> None:
    codec = MeanCodec(LAYOUT, clip=0.2, metrics={"loss": (0.0, 2.0)})
    encoded = codec.encode(ARRAYS, metrics={"loss": 3.0})
    assert encoded.clipped == 3
    decoded = codec.decode(encoded.vector, 1)
    assert decoded.metrics == {"loss": 2.0}
    assert decoded.arrays["w"].tolist() == pytest.approx([0.2, -0.2, 0.125], abs=codec.error_bound(1))
    assert codec.encode({"w": ARRAYS["w"] * np.float32(0.1)}, metrics={"loss": 2.0}).clipped == 0


def test_weights_of_unequal_sites_are_hidden_in_an_exact_total() -> None:
    codec = MeanCodec(LAYOUT, clip=1.0, value_bits=32, weight_max=100_000, metrics={"accuracy": (0.0, 1.0)})
    sites = [(1, 0.0), (99_999, 1.0), (50_000, 0.5)]
    vectors = [codec.encode(ARRAYS, weight=weight, metrics={"accuracy": acc}).vector for weight, acc in sites]
    decoded = codec.decode(np.sum(vectors, axis=0, dtype=np.uint64), 3)
    assert decoded.weight == 150_000
    assert decoded.metrics["accuracy"] == pytest.approx((99_999 + 25_000) / 150_000, abs=1e-8)


def test_metrics_are_placed_by_name_not_by_order() -> None:
    one = MeanCodec(LAYOUT, clip=1.0, metrics={"a": (0.0, 1.0), "b": (0.0, 2.0)})
    two = MeanCodec(LAYOUT, clip=1.0, metrics={"b": (0.0, 2.0), "a": (0.0, 1.0)})
    assert one == two
    assert two.decode(one.encode(ARRAYS, metrics={"b": 2.0, "a": 0.0}).vector, 1).metrics == {"a": 0.0, "b": 2.0}


def test_repr_of_an_encoding_shows_nothing() -> None:
    assert repr(MeanCodec(LAYOUT, clip=0.2).encode(ARRAYS)) == "Encoded(<redacted>)"


def test_codec_is_a_value_that_travels() -> None:
    codec = MeanCodec(LAYOUT, clip=1.0, weight_max=9, metrics={"a": (0, 1)}, on_clip="refuse")
    for same in (pickle.loads(pickle.dumps(codec)), copy.deepcopy(codec), dataclasses.replace(codec)):
        assert same == codec
        assert hash(same) == hash(codec)
        assert same.digest == codec.digest
    with pytest.raises(TypeError):
        codec.metrics["b"] = (0, 1)  # type: ignore[index]


def test_digest_separates_whatever_changes_the_numbers() -> None:
    codec = MeanCodec(LAYOUT, clip=1.0)
    others = [
        dataclasses.replace(codec, clip=1.5),
        dataclasses.replace(codec, value_bits=8),
        dataclasses.replace(codec, weight_max=1),
        dataclasses.replace(codec, metrics={"a": (0, 1)}),
        dataclasses.replace(codec, metrics={"a": (0, 2)}),
        dataclasses.replace(codec, layout=Layout.of({"v": ARRAYS["w"]})),
    ]
    assert len({one.digest for one in [codec, *others]}) == 7
    assert dataclasses.replace(codec, on_clip="refuse").digest == codec.digest


def test_error_bound_grows_as_weights_fall_below_the_maximum() -> None:
    codec = MeanCodec(LAYOUT, clip=1.0, weight_max=100)
    assert codec.error_bound(10, 1000) == pytest.approx(codec.step, rel=1e-2)
    assert codec.error_bound(10, 500) == pytest.approx(2 * codec.step, rel=1e-2)
    assert codec.error_bound(10) == pytest.approx(100 * codec.step, rel=1e-2)


def test_error_bound_covers_the_rounding_of_a_narrow_output() -> None:
    half_way = [np.array([1.0], np.float16), np.array([1.0 + 2.0**-10], np.float16)]
    codec = MeanCodec(Layout.of([half_way[0]]), clip=1.01, value_bits=32)
    total = sum(codec.encode([array]).vector.astype(np.uint64) for array in half_way)
    error = abs(float(codec.decode(total, 2).arrays[0][0]) - (1.0 + 2.0**-11))
    assert error == 2.0**-11
    assert error <= codec.error_bound(2) < 1.02 * error
