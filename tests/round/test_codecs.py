"""Any codec goes through a round: what travels of it, who knows it, and what is refused of one that is unknown."""

from dataclasses import replace

import msgspec
import numpy as np
import pytest

from secagg.codec import MeanTerms, Terms, kinds, register, terms_called
from secagg.round import CodecTerms, Settings
from secagg.round.updates import mean_of
from secagg_protocols import ParameterError, Plain, WireError

KNOBS = {"clip": 8.0, "weight_max": 100}
VOTES = {"codec": "signs", "step": 0.01}


@pytest.mark.usefixtures("signs")
def test_a_codec_from_elsewhere_goes_through_a_round_of_every_scheme(federation, scheme_name, sample):
    parties = federation(scheme_name, **VOTES)
    way = lambda name, request, rnd: None if name == "site-3" and rnd.uploads else request  # noqa: E731
    rnd = parties.run(parties.round(), way=way)
    assert rnd.output is not None, rnd.outcome.failure
    votes = [parties.vector(f"site-{own}", sample()) for own in (1, 2, 4, 5)]
    assert rnd.output.total.tolist() == np.sum(votes, axis=0).tolist()
    mean = parties.codec.layout.flatten(mean_of(rnd.output, parties.codec).arrays)
    np.testing.assert_allclose(mean, 0.01 * (np.mean(votes, axis=0) - 1), atol=1e-8)
    assert np.abs(mean).max() > 0


def test_terms_travel_and_make_an_equal_codec(federation, signs):
    for parties, kind in ((federation(), MeanTerms), (federation(**VOTES), signs.SignTerms)):
        travelled = CodecTerms.from_bytes(parties.terms.to_bytes())
        assert (travelled.kind, travelled.version) == (kind.kind, kind.version)
        codec = travelled.codec(parties.codec.layout)
        assert codec == parties.codec
        assert codec.terms == parties.settings.codec
        assert codec.digest == parties.codec.digest
        assert codec.digest != replace(codec, **({"step": 0.02} if kind is signs.SignTerms else {"clip": 4.0})).digest


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            {"kind": "noisy"},
            "codec 'noisy' (version 2) is unknown; this side knows calibration (version 1), mean (version 2)",
        ),
        ({"version": 1}, "codec 'mean' is of version 1, this side speaks version 2"),
        ({"own": b"\x90"}, "MeanTerms cannot be decoded"),
    ],
)
def test_unknown_terms_are_refused_by_name_with_both_versions(federation, change, words):
    parties = federation()
    strange = msgspec.structs.replace(parties.terms, **change)
    with pytest.raises(WireError) as refused:
        CodecTerms.from_bytes(strange.to_bytes())
    assert words in str(refused.value)
    parties.terms = strange
    rnd = parties.run(parties.round())
    assert rnd.outcome.answered == {parties.scheme.steps[0]: ()}  # not even keys
    assert [refused.reason for refused in rnd.refused] == [f"WireError: {refused.value}"] * 5


def test_terms_whose_metrics_are_in_two_orders_are_refused():
    terms = MeanTerms.of({**KNOBS, "metrics": {"b": (0, 1), "a": (0, 1)}})
    assert list(terms.metrics) == ["a", "b"]
    with pytest.raises(ParameterError, match="not sorted"):
        msgspec.structs.replace(terms, metrics={"b": (0.0, 1.0), "a": (0.0, 1.0)})


@pytest.mark.usefixtures("signs")
@pytest.mark.parametrize(
    ("knobs", "words"),
    [
        ({"codec": "nonsense"}, "codec='nonsense' is unknown; choose from calibration, mean, norm, signs"),
        ({"codec": "signs"}, "codec='signs': .*step.*it takes step"),
        ({"codec": "signs", "step": -1.0}, "step=-1.0 is no distance"),
        ({**VOTES, "clip": 8.0}, "'clip' is no knob"),
        ({**KNOBS, "step": 0.1}, "'step' is no knob"),
    ],
)
def test_knobs_are_those_of_the_codec_that_is_asked_for(knobs, words):
    with pytest.raises(ParameterError, match=words):
        Settings.of(knobs)


def test_a_codec_says_what_it_is_when_it_is_registered(monkeypatch):
    monkeypatch.setattr(kinds, "_KNOWN", dict(kinds._KNOWN))

    def terms(**said):
        return type("Strange", (Terms,), {"__module__": "elsewhere", **said}, frozen=True)

    for said, words in (
        ({"version": 1}, "kind None"),
        ({"kind": "Two Words", "version": 1}, "'Two Words'"),
        ({"kind": "new"}, "version None"),
        ({"kind": "new", "version": 0}, "version 0"),
        ({"kind": "mean", "version": 2}, "two codecs are called 'mean', secagg.codec.mean.MeanTerms and elsewhere"),
    ):
        with pytest.raises(ParameterError, match=words):
            register(terms(**said))
    assert register(MeanTerms) is MeanTerms is terms_called("mean")
    new = register(terms(kind="new", version=1))
    assert terms_called("new") is new


def test_a_group_key_made_for_raw_sums_serves_no_codec(federation):
    """As an aggregator finds it: the scheme follows from its handle."""
    parties = federation("ckks")
    raw = replace(parties.scheme, raw_precision=4)
    settings = replace(parties.settings, group_key=raw.make_group_key()[1])
    with pytest.raises(ParameterError, match=r"raw_precision=4: sums of ckks may then be off by 4.*group key"):
        settings.make_scheme(5, parties.codec)


def test_a_site_makes_no_vector_that_the_scheme_does_not_sum(federation, sample):
    parties = federation()
    parties.scheme = Plain(5, parties.codec.length + 1, value_bits=24)
    with pytest.raises(ParameterError, match=rf"length={parties.codec.length + 1} of plain"):
        parties.vector("site-1", sample())
