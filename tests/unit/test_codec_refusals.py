"""Codec: bad input is refused in one line that names the value and the remedy, and shows no private number."""

import numpy as np
import pytest

from secagg.codec import Layout, MeanCodec
from secagg_protocols.errors import InputError, ParameterError

ARRAYS = {"w": np.array([0.5, -0.25, 0.125], np.float32)}
LAYOUT = Layout.of(ARRAYS)
WEIGHTED = MeanCodec(LAYOUT, clip=1.0, weight_max=100, metrics={"loss": (0.0, 2.0)})


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"clip": 0.0}, "clip must be in"),
        ({"clip": -1.0}, "clip must be in"),
        ({"clip": float("nan")}, "clip must be in"),
        ({"clip": float("inf")}, "clip must be in"),
        ({"clip": "1"}, "clip must be in .* not '1'"),
        ({"clip": None}, "clip must be in"),
        ({"value_bits": True}, "value_bits"),
        ({"weight_max": True}, "weight_max"),
        ({"metrics": {"loss": 5}}, r"'loss' needs a range \(low, high\) of two numbers, not 5"),
        ({"metrics": {"loss": ("a", "b")}}, "'loss' needs a range"),
        ({"value_bits": 0}, r"value_bits must be an int in 1\.\.32, not 0"),
        ({"value_bits": 33}, "value_bits"),
        ({"value_bits": 16.0}, "value_bits"),
        ({"weight_max": 0}, "weight_max"),
        ({"weight_max": 2**53 + 1}, "weight_max=9007199254740993.*value_bits=16.*larger units"),
        ({"weight_max": 256, "value_bits": 8}, "weight_max=256.*value_bits=8.*up to 255: raise value_bits to 9"),
        ({"weight_max": 1.5}, "weight_max"),
        ({"on_clip": "ignore"}, "on_clip must be 'count' or 'refuse'"),
        ({"metrics": {"loss": (1.0, 1.0)}}, "'loss' needs finite low < high"),
        ({"metrics": {"loss": (0.0, float("inf"))}}, "'loss'"),
        ({"metrics": {"loss": (float("nan"), 1.0)}}, "'loss'"),
    ],
)
def test_bad_parameters_are_refused(parameters: dict[str, object], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        MeanCodec(LAYOUT, **{"clip": 1.0, **parameters})  # type: ignore[arg-type]


def test_clip_beyond_the_dtype_is_refused() -> None:
    with pytest.raises(ParameterError, match=r"clip must be in .*6\.55e"):
        MeanCodec(Layout.of([np.zeros(1, np.float16)]), clip=70000.0)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("on_clip", ["count", "refuse"])
def test_nan_and_infinity_are_refused_by_array_name(bad: float, on_clip: str) -> None:
    arrays = {"a": np.zeros(2), "b": np.array([0.0, bad])}
    codec = MeanCodec(Layout.of(arrays), clip=1.0, on_clip=on_clip)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="'b' holds NaN or infinity"):
        codec.encode(arrays)


def test_values_beyond_clip_are_refused_when_the_caller_says_so() -> None:
    codec = MeanCodec(LAYOUT, clip=0.2, metrics={"loss": (0.0, 2.0)}, on_clip="refuse")
    with pytest.raises(InputError, match=r"2 of the values of array 'w' .*clip is 0.2.*on_clip='count'") as caught:
        codec.encode(ARRAYS, metrics={"loss": 1.0})
    assert "0.5" not in str(caught.value)
    with pytest.raises(InputError, match="the metrics are out of range"):
        codec.encode({"w": ARRAYS["w"] / 10}, metrics={"loss": 3.0})


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        (None, r"weight is missing: .*1\.\.100"),
        (0, "below 1"),
        (-3, "below 1"),
        (12345, r"above weight_max = 100: pass min\(weight, 100\)"),
        (2.0, "must be an int, not float"),
        ("2", "must be an int, not str"),
    ],
)
def test_weights_out_of_range_are_refused_without_showing_them(weight: object, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        WEIGHTED.encode(ARRAYS, weight=weight, metrics={"loss": 1.0})  # type: ignore[arg-type]
    assert "12345" not in str(caught.value)


def test_numpy_integers_are_weights() -> None:
    vector = WEIGHTED.encode(ARRAYS, weight=np.int64(7), metrics={"loss": 1.0}).vector  # type: ignore[arg-type]
    assert WEIGHTED.decode(vector, 1).weight == 7


def test_weight_for_an_unweighted_codec_is_refused() -> None:
    with pytest.raises(InputError, match="unweighted codec: leave it out"):
        MeanCodec(LAYOUT, clip=1.0).encode(ARRAYS, weight=3)


@pytest.mark.parametrize(
    ("metrics", "message"),
    [
        ({}, "'loss' is missing"),
        ({"loss": 1.0, "auc": 0.5}, "'auc' is not one of the codec's"),
        ({"loss": float("nan")}, "'loss' is NaN or infinite"),
        ({"loss": "low"}, "'loss' is a str: pass a number"),
    ],
)
def test_bad_metrics_are_refused_by_name(metrics: dict[str, float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        WEIGHTED.encode(ARRAYS, weight=1, metrics=metrics)


@pytest.mark.parametrize(
    ("total", "survivors", "message"),
    [
        (np.zeros(4, np.uint64), 1, r"total must be unsigned integers \(5,\), not uint64 \(4,\)"),
        (np.zeros((1, 5), np.uint64), 1, "total must be"),
        (np.zeros(5, np.int64), 1, "not int64"),
        (np.zeros(5, np.float64), 1, "not float64"),
        ([0] * 5, 1, "not list"),
        (np.zeros(5, np.uint64), 0, "survivors must be an int of at least 1"),
        (np.zeros(5, np.uint64), (1, 2), r"survivors must be an int of at least 1, not \(1, 2\)"),
        (np.zeros(5, np.uint64), 2**60, "overflow 64 bits"),
        (np.full(5, 3 * 65535 + 1, np.uint64), 3, "total reaches 196606, above the 196605 of 3 survivors"),
        (np.zeros(5, np.uint64), 1, r"total weight 0 of 1 survivors must be in 1\.\.100"),
        (np.full(5, 201, np.uint64), 2, "total weight 201 of 2 survivors must be in 2..200"),
    ],
)
def test_totals_that_no_survivors_could_make_are_refused(total: object, survivors: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        WEIGHTED.decode(total, survivors)  # type: ignore[arg-type]


@pytest.mark.parametrize(("survivors", "weight"), [(0, None), (3, 2), (3, 301)])
def test_error_bound_of_an_impossible_round_is_refused(survivors: int, weight: int | None) -> None:
    with pytest.raises(InputError, match="total weight"):
        WEIGHTED.error_bound(survivors, weight)
