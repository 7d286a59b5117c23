"""Every scheme with every codec: what `fit` accepts is summed exactly, the rest is refused before there is a round."""

from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from secagg import simulate
from secagg.codec import Codec, Layout, MeanCodec, fit
from secagg.schemes import ONE_KEY, SCHEMES
from secagg_protocols import Domain, ParameterError, Plain, Policy, Scheme

LENIENT = Policy(minimum_cohort=2)
NAMES = [name for name in SCHEMES.own if name not in ONE_KEY or find_spec("tenseal")]
LAYOUT = Layout(("a", "b"), ((2, 2), (3,)), ("float32", "float64"))


@st.composite
def codecs(draw: st.DrawFn, signs: Any) -> Codec:
    """Any codec of seven values, with a weight and a metric or without, at any width; or the one from elsewhere."""
    if draw(st.integers(0, 3)) == 0:
        return signs.SignCodec(LAYOUT, 0.5)
    value_bits = draw(st.integers(1, 32))
    weight_max = draw(st.one_of(st.none(), st.integers(1, min(1000, (1 << value_bits) - 1))))
    metrics = draw(st.sampled_from([{}, {"loss": (0.0, 4.0)}]))
    return MeanCodec(LAYOUT, clip=2.0, value_bits=value_bits, weight_max=weight_max, metrics=metrics)


@st.composite
def schemes(draw: st.DrawFn, codec: Codec) -> Scheme:
    """Any scheme of three to six participants that is made for this codec, or nearly."""
    name, participants = draw(st.sampled_from(NAMES)), draw(st.integers(3, 6))
    parameters: dict[str, Any] = {}
    if name == "secagg-plus":
        parameters = {"neighbours": participants - 1, "threshold": participants // 2 + 1}
        parameters |= {"corrupt_rate": 0.0, "dropout_rate": 0.0}
    if name == "ckks":
        parameters["raw_precision"] = draw(st.sampled_from([0, 0, 0, 4]))
    length = codec.length + draw(st.sampled_from([0, 0, 0, 0, -1, 1]))
    value_bits = max(1, codec.value_bits + draw(st.sampled_from([0, 0, 0, 0, -1, 1, 7])))
    return SCHEMES[name](participants, length, value_bits=value_bits, **parameters)


def suits(scheme: Scheme, codec: Codec) -> bool:
    """What `fit` must find, for schemes whose ring is as wide as they say."""
    raw = getattr(scheme, "raw_precision", 0)
    return scheme.length == codec.length and scheme.value_bits >= codec.value_bits and not raw


def contributions(codec: Codec, sites: int, seed: int) -> list[tuple[dict[str, Any], int | None, dict[str, float]]]:
    """(arrays, weight, metrics) of each site; the first at the upper ends, the second at the lower."""
    rng, found = np.random.default_rng(seed), []
    for site in range(sites):
        ends = {0: 2.0, 1: -2.0}.get(site)
        arrays = {
            name: (np.full(shape, ends) if ends else rng.normal(0, 1.2, shape)).astype(dtype)
            for name, shape, dtype in zip(LAYOUT.names, LAYOUT.shapes, LAYOUT.dtypes, strict=True)
        }
        weight = codec.weight_max and (codec.weight_max if site == 0 else int(rng.integers(1, codec.weight_max + 1)))
        found.append((arrays, weight, {name: high for name, (_, high) in codec.metrics.items()}))
    return found


@settings(deadline=None, max_examples=150, suppress_health_check=list(HealthCheck))
@given(data=st.data(), seed=st.integers(0, 2**32))
def test_what_fits_is_summed_exactly_and_the_rest_is_refused(signs: Any, data: st.DataObject, seed: int) -> None:
    codec = data.draw(codecs(signs))
    scheme = data.draw(schemes(codec))
    if not suits(scheme, codec):
        with pytest.raises(ParameterError, match=r"length=|value_bits=|raw_precision="):
            fit(scheme, codec)
        return
    fit(scheme, codec)
    given_ = contributions(codec, scheme.participants, seed)
    vectors = [codec.encode(arrays, weight=weight, metrics=said).vector for arrays, weight, said in given_]
    run = simulate(scheme, vectors, policy=LENIENT)
    assert run.total.tolist() == [sum(map(int, column)) for column in zip(*vectors, strict=True)]
    decoded = codec.decode(run.total, len(run.survivors))
    weights = np.array([1 if weight is None else weight for _, weight, _ in given_])
    assert decoded.weight == (None if codec.weight_max is None else weights.sum())
    bound = codec.error_bound(len(vectors), decoded.weight)
    for name in LAYOUT.names:
        counted = [codec.in_range(arrays)[name] for arrays, _, _ in given_]
        exact = np.average(counted, axis=0, weights=weights)
        assert np.abs(decoded.arrays[name] - exact).max() <= bound + 1e-12


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("value_bits", [1, 16, 32])
def test_the_largest_values_of_all_sites_do_not_wrap(name: str, value_bits: int) -> None:
    codec = MeanCodec(LAYOUT, clip=2.0, value_bits=value_bits)
    sparse = {"neighbours": 4, "threshold": 3, "corrupt_rate": 0.0, "dropout_rate": 0.0}
    scheme = SCHEMES[name](5, codec.length, value_bits=value_bits, **(sparse if name == "secagg-plus" else {}))
    fit(scheme, codec)
    top = np.full(codec.length, (1 << value_bits) - 1, dtype=np.uint64)
    assert simulate(scheme, [top] * 5, policy=LENIENT).total.tolist() == [5 * ((1 << value_bits) - 1)] * codec.length


@dataclass(frozen=True)
class Narrow(Domain):
    """A ring that every single value fits, and not their sum."""

    @property
    def sum_bits(self) -> int:  # type: ignore[override]
        return self.value_bits


def test_a_ring_too_narrow_for_the_sum_is_refused_with_the_numbers() -> None:
    class Wrapping(Plain):
        @property
        def domain(self) -> Domain:
            return Narrow(self.participants, self.length, self.value_bits)

    codec = MeanCodec(LAYOUT, clip=2.0, value_bits=16)
    fit(Plain(5, codec.length, value_bits=16), codec)
    with pytest.raises(ParameterError, match=r"participants=5 .* sums of 19 bits.*modulo 2\^16.*smaller value_bits"):
        fit(Wrapping(5, codec.length, value_bits=16), codec)
