"""The codec that goes with noise under the sum: clipped to a norm, never refusing for what numbers are, as exact as
planned through real rounds."""

import math
from dataclasses import replace

import numpy as np
import pytest

from secagg import Bonawitz, InputError, ParameterError, Simulation
from secagg.codec import Layout, MeanCodec, NormCodec, NormTerms, fit, read_terms
from secagg.privacy.mechanism import Mechanism
from secagg_protocols.core.noise import Noise
from secagg_protocols.core.wire import encode

N, D = 10, 20_000
MODEL = {"weights": np.zeros((100, 199), np.float32), "bias": np.zeros(100, np.float32)}


def made(bits=12, tolerated=3, colluders=0, length=D):
    mechanism = Mechanism(N, length, 1.0, 1.0, bits, tolerated, colluders)
    scheme = Bonawitz(N, length, value_bits=bits, colluders=colluders, noise=mechanism.noise)
    return mechanism, scheme


def updates(norm):
    rng = np.random.default_rng(4)
    common = rng.normal(size=D)
    for _ in range(N):
        flat = common + rng.normal(size=D) / 2
        flat *= norm / np.linalg.norm(flat)
        yield {"weights": flat[:19_900].reshape(100, 199).astype(np.float32), "bias": flat[19_900:].astype(np.float32)}


def flat(arrays):
    return np.concatenate([np.asarray(part, dtype=np.float64).reshape(-1) for part in arrays.values()])


@pytest.mark.parametrize(("bits", "tolerated", "gone"), [(8, 0, 0), (8, 3, 2), (10, 3, 0), (12, 3, 3)])
def test_the_decoded_sum_is_off_by_the_planned_noise_and_nothing_else(bits, tolerated, gone):
    mechanism, scheme = made(bits, tolerated)
    codec = mechanism.codec(Layout.of(MODEL))
    fit(scheme, codec)
    sites = list(updates(2.0))
    run = Simulation(
        scheme,
        [codec.encode(one).vector for one in sites],
        drop=dict.fromkeys(range(1, gone + 1), "MaskedInput"),
    ).run()
    mean = codec.decode(run.total, len(run.survivors))
    true = np.mean([flat(codec.in_range(sites[who - 1])) for who in run.survivors], axis=0)
    error = (flat(mean.arrays) - true) * len(run.survivors)
    assert abs((error**2).mean() - 1) < 5 * math.sqrt(2 / D)
    assert np.abs(error).max() / len(run.survivors) < mean.error_bound
    assert mean.arrays["bias"].dtype == np.float32


def test_a_vector_is_within_the_norm_whatever_it_was():
    mechanism, _ = made(length=4)
    codec = mechanism.codec(Layout.of([np.zeros(4)]))
    for values in ([1e300, 1e300, 0, 0], [1.2e308, 0, 1e-3, 0], [1e-300, 0, 0, 0], [3.0, 4.0, 0, 0], [0.3, 0, 0, 0.4]):
        (kept,) = codec.in_range([np.array(values)])
        assert np.linalg.norm(kept) <= 1 + 1e-12
    assert codec.in_range([np.array([0.3, 0, 0, 0.4])])[0].tolist() == [0.3, 0, 0, 0.4]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_an_update_that_is_not_finite_counts_as_zero_and_nobody_hears_of_it(bad):
    mechanism, _ = made(length=50)
    codec = mechanism.codec(Layout.of([np.zeros(50)]))
    values = np.ones(50)
    values[7] = bad
    encoded = codec.encode([values])
    assert encoded.clipped
    off = encoded.vector.astype(np.int64) - codec.offset
    assert np.abs(off).max() <= 25  # rounding alone, as around zero


def test_two_encodings_of_one_update_differ():
    mechanism, _ = made(length=50)
    codec = mechanism.codec(Layout.of([np.zeros(50)]))
    assert (codec.encode([np.zeros(50)]).vector != codec.encode([np.zeros(50)]).vector).any()


def test_weights_and_metrics_have_no_place_under_differential_privacy():
    mechanism, _ = made(length=3)
    codec = mechanism.codec(Layout.of([np.zeros(3)]))
    for more in ({"weight": 3}, {"metrics": {"loss": 1.0}}):
        with pytest.raises(InputError, match="leave them out"):
            codec.encode([np.zeros(3)], **more)


def test_it_travels_as_its_terms():
    mechanism, _ = made(length=3)
    codec = mechanism.codec(Layout.of([np.zeros(3)]))
    assert read_terms("norm", 1, encode(codec.terms)).codec(codec.layout) == codec


def test_the_codec_and_the_noise_say_alike_whether_the_codec_rounds_with_noise():
    unrounded = Bonawitz(N, 3, value_bits=12, noise=Noise("2560"))
    mechanism, scheme = made(length=3)
    codec = mechanism.codec(Layout.of([np.zeros(3)]))
    narrow = MeanCodec(codec.layout, clip=1.0, value_bits=4)
    fit(unrounded, narrow)
    with pytest.raises(ParameterError, match="rounds with noise"):
        fit(scheme, narrow)
    with pytest.raises(ParameterError, match="does not round with noise"):
        fit(unrounded, replace(codec, offset=200, scale=50.0))


def test_another_codec_does_not_fit_a_scheme_with_noise():
    _, scheme = made(length=3)
    with pytest.raises(ParameterError, match=r"Mechanism\.codec"):
        fit(scheme, MeanCodec(Layout.of([np.zeros(3)]), clip=1.0, value_bits=12))


@pytest.mark.parametrize(
    "wrong",
    [
        {"clip": 0.0},
        {"scale": math.inf},
        {"each": math.nan},
        {"offset": 2048},
        {"offset": 0},
        {"offset": 110},
        {"value_bits": 40},
    ],
    ids=lambda wrong: "".join(wrong),
)
def test_terms_that_cannot_be_are_refused(wrong):
    right = {"clip": 1.0, "scale": 100.0, "offset": 500, "value_bits": 12, "each": 30.0}
    layout = Layout.of([np.zeros(3)])
    assert isinstance(NormTerms(**right).codec(layout), NormCodec)
    with pytest.raises(ParameterError):
        NormTerms(**(right | wrong)).codec(layout)
