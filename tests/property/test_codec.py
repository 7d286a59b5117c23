"""Codec properties, against exact rational arithmetic and under randomness that rounds the worst way."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secagg.codec import Layout, MeanCodec
from secagg_protocols.primitives.randomness import InsecureDeterministicRandomness, Randomness


class Constant:
    """Every byte the same: 0 rounds up whatever is not an integer, 255 rounds it down."""

    def __init__(self, byte: int) -> None:
        self.byte = byte

    def bytes(self, count: int) -> bytes:
        return bytes([self.byte]) * count


RANDOMNESS = st.one_of(
    st.sampled_from([Constant(0), Constant(255)]), st.integers(0, 2**32).map(InsecureDeterministicRandomness)
)
DTYPES = ("float16", "float32", "float64")
COORDINATES = 3
# In units of clip: the two ends, around zero, beyond the clip, and anything between.
PLACES = st.one_of(st.sampled_from([-1.0, 1.0, 0.0, -0.0, 1e-7, -1e-7, 5.0, -5.0]), st.floats(-1.5, 1.5))


@st.composite
def participants(draw: st.DrawFn, weight_max: int) -> tuple[list[tuple[list[float], int]], int]:
    """A few distinct (places, weight), and how many participants cycle through them."""
    weights = st.one_of(st.sampled_from([1, weight_max]), st.integers(1, weight_max))
    distinct = draw(st.lists(st.tuples(st.lists(PLACES, min_size=3, max_size=3), weights), min_size=1, max_size=4))
    return distinct, draw(st.one_of(st.sampled_from([1, 2, 1000]), st.integers(1, 40)))


def total_of(codec: MeanCodec, encoded: list[np.ndarray]) -> np.ndarray:
    return np.sum([vector.astype(np.uint64) for vector in encoded], axis=0, dtype=np.uint64).reshape(codec.length)


@settings(deadline=None)
@given(
    data=st.data(),
    clips=st.tuples(*[st.sampled_from([2.0**-100, 1e-3, 0.1, 1.0, 3.7, 60000.0])] * COORDINATES),
    widths=st.sampled_from([(1, 1), (3, 7), (10, 1000), (16, 65535), (24, 65536), (32, 2**32 - 1), (32, 1)]),
    dtypes=st.tuples(*[st.sampled_from(DTYPES)] * COORDINATES),
    randomness=RANDOMNESS,
)
def test_weighted_mean_is_within_the_stated_bound_of_each_array_and_total_weight_is_exact(
    data: st.DataObject,
    clips: tuple[float, ...],
    widths: tuple[int, int],
    dtypes: tuple[str, ...],
    randomness: Randomness,
) -> None:
    value_bits, weight_max = widths
    distinct, survivors = data.draw(participants(weight_max))
    layout = Layout.of([np.zeros(1, dtype) for dtype in dtypes])
    clip = dict(zip(layout.names, clips, strict=True))
    codec = MeanCodec(layout, clip=clip, value_bits=value_bits, weight_max=weight_max)
    inputs, encoded, weight = [Fraction(0)] * COORDINATES, [], 0
    for index in range(survivors):
        places, own_weight = distinct[index % len(distinct)]
        with np.errstate(over="ignore"):
            limit = [float(np.finfo(dtype).max) for dtype in dtypes]
            arrays = [
                np.array([min(max(place * clip, -top), top)], dtype)
                for place, clip, dtype, top in zip(places, clips, dtypes, limit, strict=True)
            ]
        encoded.append(codec.encode(arrays, weight=own_weight, randomness=randomness).vector)
        for coordinate, (array, clip) in enumerate(zip(arrays, clips, strict=True)):
            clipped = min(max(Fraction(float(array[0])), -Fraction(clip)), Fraction(clip))
            inputs[coordinate] += own_weight * clipped
        weight += own_weight

    decoded = codec.decode(total_of(codec, encoded), survivors)

    assert decoded.weight == weight
    bounds = codec.error_bounds(survivors, weight)
    assert decoded.error_bounds == bounds
    assert decoded.error_bound == codec.error_bound(survivors, weight) <= codec.error_bound(survivors)
    for array, exact, dtype, bound in zip(decoded.arrays, inputs, dtypes, bounds.values(), strict=True):
        assert array.dtype == dtype
        assert abs(Fraction(float(array[0])) - exact / weight) <= bound


@settings(deadline=None)
@given(
    places=st.lists(PLACES, min_size=1, max_size=8),
    value_bits=st.integers(1, 32),
    survivors=st.sampled_from([1, 2, 1000]),
    randomness=RANDOMNESS,
)
def test_unweighted_mean_is_within_one_step(
    places: list[float], value_bits: int, survivors: int, randomness: Randomness
) -> None:
    arrays = {"w": np.array(places, np.float32)}
    codec = MeanCodec(Layout.of(arrays), clip=1.0, value_bits=value_bits)
    total = total_of(codec, [codec.encode(arrays, randomness=randomness).vector for _ in range(survivors)])
    decoded = codec.decode(total, survivors)
    assert decoded.weight is None
    error = np.abs(decoded.arrays["w"].astype(np.float64) - np.clip(arrays["w"].astype(np.float64), -1, 1))
    assert error.max() <= codec.error_bound(survivors)
    assert codec.error_bound(survivors) == pytest.approx(codec.step, rel=1e-4, abs=2.0**-23)


@settings(deadline=None)
@given(
    reported=st.lists(st.tuples(st.floats(-3.0, 9.0), st.integers(1, 500)), min_size=1, max_size=20),
    value_bits=st.integers(9, 32),
    randomness=RANDOMNESS,
)
def test_metrics_are_weighted_and_within_the_stated_bound_whatever_the_value_bits(
    reported: list[tuple[float, int]], value_bits: int, randomness: Randomness
) -> None:
    arrays = [np.zeros(2, np.float32)]
    ranges = {"loss": (-1.0, 7.0), "accuracy": (0.0, 1.0)}
    codec = MeanCodec(Layout.of(arrays), clip=1.0, value_bits=value_bits, weight_max=500, metrics=ranges)
    encoded = [
        codec.encode(arrays, weight=weight, metrics={"accuracy": 1.0, "loss": loss}, randomness=randomness)
        for loss, weight in reported
    ]
    decoded = codec.decode(total_of(codec, [one.vector for one in encoded]), len(reported))
    weight = sum(weight for _, weight in reported)
    bound = len(reported) * 500 / weight / (2**value_bits - 1)
    loss = sum(min(max(loss, -1.0), 7.0) * weight for loss, weight in reported) / weight
    assert abs(decoded.metrics["loss"] - loss) <= 8 * bound + 1e-12
    assert 1.0 - bound - 1e-12 <= decoded.metrics["accuracy"] <= 1.0
    assert sum(one.clipped for one in encoded) == sum(not -1.0 <= loss <= 7.0 for loss, _ in reported)


@settings(deadline=None)
@given(
    places=st.lists(PLACES, min_size=1, max_size=8),
    value_bits=st.integers(7, 32),
    weight=st.integers(1, 100),
    randomness=RANDOMNESS,
)
def test_every_value_fits_its_bits_in_the_smallest_dtype(
    places: list[float], value_bits: int, weight: int, randomness: Randomness
) -> None:
    arrays = [np.array(places)]
    codec = MeanCodec(Layout.of(arrays), clip=1.0, value_bits=value_bits, weight_max=100, metrics={"m": (0, 1)})
    vector = codec.encode(arrays, weight=weight, metrics={"m": 1}, randomness=randomness).vector
    assert vector.shape == (codec.length,)
    assert vector.dtype == (np.uint8 if value_bits <= 8 else np.uint16 if value_bits <= 16 else np.uint32)
    assert int(vector.max()) < 2**value_bits
