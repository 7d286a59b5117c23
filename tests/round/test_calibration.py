"""A round that proposes clips: under every scheme, once for a model, and only where a site allows it."""

import numpy as np
import pytest

from secagg.codec import CalibrationTerms
from secagg.round import Settings, SitePolicy
from secagg.round.updates import applied, mean_of
from secagg_protocols import InputError, ParameterError

CALIBRATE = {"clip": "calibrate"}


def test_clips_are_proposed_under_every_scheme_and_the_model_stays(federation, scheme_name, sample):
    parties = federation(scheme_name, **CALIBRATE)
    way = lambda name, request, rnd: None if name == "site-3" and rnd.uploads else request  # noqa: E731
    rnd = parties.run(parties.round(), way=way)
    assert rnd.output is not None, rnd.outcome.failure
    found = mean_of(rnd.output, parties.codec)
    expected = sum(parties.vector(f"site-{own}", sample()).astype(np.uint64) for own in (1, 2, 4, 5))
    np.testing.assert_array_equal(rnd.output.total, expected)
    assert found.clips.clips == {"weight": 0.25, "bias": 0.25}
    assert applied(sample(), found) == {name: pytest.approx(values) for name, values in sample().items()}


def test_a_model_is_calibrated_once_and_then_trained_on(federation):
    parties = federation(**CALIBRATE)
    first = parties.run(parties.round())
    text = mean_of(first.output, parties.codec).clips.text
    again = parties.run(parties.round(parties.proposal(2)))
    assert again.output is None
    assert all("already answered for this model" in refused.reason for refused in again.refused)

    pinned = federation(clip=text)
    for name in parties.names:  # the same sites
        pinned.config[name] = {"secagg-store": str(parties.folder / f"{name}.store")}
    pinned.check(pinned.run(pinned.round(pinned.proposal(3))), [1, 2, 3, 4, 5])


def test_a_site_that_does_not_want_to_be_counted_says_so_before_any_key(federation):
    parties = federation(config={"secagg-codecs": "mean"}, **CALIBRATE)
    rnd = parties.run(parties.round())
    assert rnd.outcome.answered == {parties.scheme.steps[0]: ()}
    assert {refused.reason for refused in rnd.refused} == {
        "ParameterError: the server proposes codec 'calibration'; this node makes vectors by mean (secagg-codecs)"
    }
    plain = federation(config={"secagg-codecs": "mean"})
    plain.check(plain.run(plain.round()), [1, 2, 3, 4, 5])
    with pytest.raises(ParameterError, match="'median' is unknown; choose from"):
        SitePolicy.read({"secagg-codecs": "mean, median"})


def test_counts_that_a_site_made_up_propose_nothing(federation, monkeypatch):
    parties = federation(**CALIBRATE)
    honest = parties.vector
    monkeypatch.setattr(parties, "vector", lambda name, arrays: honest(name, arrays) + np.uint8(name == "site-2"))
    rnd = parties.run(parties.round())
    with pytest.raises(InputError, match="a site has sent something else than its counts"):
        mean_of(rnd.output, parties.codec)


def test_many_arrays_are_too_long_for_a_site_before_it_makes_anything(federation):
    parties = federation(config={"secagg-maximum-length": 127}, **CALIBRATE)
    rnd = parties.run(parties.round())
    assert all("128" in refused.reason and "127" in refused.reason for refused in rnd.refused)
    assert len(rnd.refused) == 5


def test_the_knobs_of_a_mean_may_stay_where_they_are():
    settings = Settings.of({"clip": "calibrate", "weight_max": 100, "value_bits": 16, "metrics": {"loss": (0.0, 1.0)}})
    assert settings.codec == CalibrationTerms()
    with pytest.raises(ParameterError, match="'thresold' is no knob"):
        Settings.of({"clip": "calibrate", "thresold": 3})
