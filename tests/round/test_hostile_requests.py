"""An aggregator that departs from the protocol: what it asks of a site is refused there, by name, and the reason is
seen at the aggregator. The attacker holds everything that the aggregator holds, and changes requests on their way."""

import logging

import msgspec
import numpy as np
import pytest

from secagg.round import Answers, Request, bound_digest
from secagg.round import policy as policies
from secagg.round.packed import unpacked
from secagg_protocols import Envelope, InputError, ParameterError, SecAggError, WireError
from secagg_protocols.bonawitz.messages import UnmaskRequest
from secagg_protocols.core.wire import decode, encode

LIMIT = 1 << 24
VICTIM = "site-3"


def only_at(rnd, *names):
    """The reasons for which these sites refuse; fails when anybody else's answer was refused, too."""
    assert {item.peer for item in rnd.refused} == set(names), rnd.refused
    assert all(item.by_site for item in rnd.refused)
    return [item.reason for item in rnd.refused]


def changed(request, **proposal):
    asked = Request.from_bytes(request)
    return Request(msgspec.structs.replace(asked.proposal, **proposal), asked.participant, asked.envelopes).to_bytes()


def refusal(parties, request, name="site-1"):
    """Why a site refuses a request; fails when it answers."""
    turn = parties.site(name).take(request)
    said = Answers.from_bytes(turn.answers, LIMIT)
    assert turn.refused
    assert not turn.awaits_vector
    assert said.envelopes == ()
    return said.refusal


def test_another_model_to_one_site_is_refused_there(federation, variant, sample):
    """Gradient suppression, model inconsistency (Pasquini et al., CCS'22): the sum would be the victim's update."""
    parties = federation(variant)
    honest, other = sample(0), {name: 0 * values for name, values in sample(0).items()}

    def answer(name, request):
        return parties.answer(name, request, other if name == VICTIM else honest)

    rnd = parties.run(parties.round(), answer=answer)
    (reason,) = only_at(rnd, VICTIM)
    assert reason.startswith("ProtocolViolation: the model and configuration are not those of the context digest")
    parties.check(rnd, [1, 2, 4, 5], honest)


def test_a_site_that_does_not_look_at_what_it_received_trains_for_the_attacker(federation, variant, sample):
    """The same without the defence: the site says what the proposal wants to hear, whatever it was sent."""
    parties = federation(variant)
    honest, other = sample(0), {name: 0 * values for name, values in sample(0).items()}

    def answer(name, request):
        turn = parties.site(name).take(request)
        if turn.awaits_vector:
            sent = other if name == VICTIM else honest
            turn.contribute(parties.vector(name, sent), parties.seen(honest))
        return turn.answers

    rnd = parties.run(parties.round(), answer=answer)
    assert 3 in rnd.output.survivors


def test_another_configuration_for_one_site_is_refused_there(federation, variant, sample):
    parties = federation(variant)

    def answer(name, request):
        turn = parties.site(name).take(request)
        if turn.awaits_vector:
            seen = parties.seen(sample(0), rate=0.2) if name == VICTIM else parties.seen(sample(0))
            turn.contribute(lambda: parties.vector(name, sample(0)), seen)
        return turn.answers

    rnd = parties.run(parties.round(), answer=answer)
    only_at(rnd, VICTIM)
    parties.check(rnd, [1, 2, 4, 5])


def other_weight(parties, request):
    terms = msgspec.structs.replace(parties.terms, weight_key="secret")
    return changed(request, terms=terms.to_bytes())


@pytest.mark.parametrize(
    "lie", [other_weight, lambda parties, request: changed(request, bound=())], ids=["the weight", "what is bound"]
)
def test_terms_that_only_one_site_is_told_are_refused_there(federation, variant, lie):
    """A weight from another metric would let one site outweigh all others; what is not bound would not reach it."""
    parties = federation(variant)

    def way(name, request, rnd):
        return lie(parties, request) if name == VICTIM and rnd.uploads else request

    rnd = parties.run(parties.round(), way=way)
    (reason,) = only_at(rnd, VICTIM)
    assert "not those of the context digest" in reason
    parties.check(rnd, [1, 2, 4, 5])


def test_a_digest_of_its_own_for_one_site_ends_in_no_sum_with_it(federation, variant, sample):
    """The aggregator tells one site from the start another digest, so that its model fits: its keys are then of another
    context, and neither side accepts the other's."""
    parties = federation(variant)
    other = bound_digest(parties.seen(sample(5)), parties.terms.to_bytes(), ["config"])

    def way(name, request, rnd):
        return changed(request, context_digest=other) if name == VICTIM else request

    rnd = parties.run(parties.round(), sample(0), way)
    assert rnd.output is None or 3 not in rnd.output.survivors
    assert any(item.peer == VICTIM for item in rnd.refused)


BELOW = [
    ({"participants": 1}, {}, "a secure sum needs at least 2"),
    ({"participants": 2}, {}, "asks for 3 participants in a sum; the scheme has 2"),
    ({}, {"secagg-minimum-cohort": 6}, "asks for 6 participants in a sum; the scheme has 5"),
    ({}, {"secagg-colluders": 3}, "threshold=3 is below 4"),
    ({}, {"secagg-maximum-participants": 4}, "the proposal's participants=5 is above secagg-maximum-participants=4"),
    ({}, {"secagg-maximum-bits": 16}, "bits=24 is above secagg-maximum-bits=16"),
    ({"length": 1 << 39}, {}, "above secagg-maximum-length"),
    ({"length": 1 << 27, "participants": 10_000}, {}, "work=1342177280000 is above secagg-maximum-work"),
    (
        {"length": 1 << 20, "parameters": {"noise": "variance=9000 tolerated=2"}},
        {"secagg-maximum-work": 6 << 20},  # enough without noise
        "work=36702200 is above secagg-maximum-work",
    ),
    ({}, {"secagg-maximum-dealt": 100}, "above secagg-maximum-dealt=100"),
    ({"scheme": "plain", "parameters": {}}, {}, "the server proposes 'plain'"),
    ({"scheme": "nonsense"}, {}, "the server proposes 'nonsense'"),
    ({}, {"secagg-schemes": "lightsecagg"}, "takes part in lightsecagg"),
    ({"parameters": {"backdoor": 1}}, {}, "do not fit"),
    ({"scheme": "secagg-plus", "participants": 100, "parameters": {"sigma": 20}}, {}, "sigma=20 is below 40"),
    ({"parameters": {"adversary": "active"}}, {}, "this node has no secagg-roster"),
]


@pytest.mark.parametrize(("lie", "config", "reason"), BELOW, ids=[row[2] for row in BELOW])
def test_a_proposal_below_a_sites_own_floor_is_refused(federation, lie, config, reason):
    parties = federation("bonawitz", config=config)
    request = changed(parties.round().begin()["site-1"], **lie)
    said = refusal(parties, request)
    assert said.startswith("ParameterError: ")
    assert reason in said


@pytest.mark.parametrize(
    "lie",
    [
        {"participants": 65535},
        {"participants": 65535, "scheme": "secagg-plus", "parameters": {"corrupt_rate": 0.45, "dropout_rate": 0.5}},
        {"participants": 2},
        {"length": 1 << 40},
        {"length": 1 << 27, "participants": 10_000},
        {"scheme": "plain"},
    ],
)
def test_what_numbers_alone_refuse_is_refused_before_a_scheme_is_derived(federation, monkeypatch, lie):
    """Deriving a graph for 65535 participants takes a participant's minutes: a proposal must not cost it that."""
    parties = federation("bonawitz")
    request = changed(parties.round().begin()["site-1"], **lie)
    derived = []
    counting = {name: lambda *_, name=name, **__: derived.append(name) for name in policies.SCHEMES}
    monkeypatch.setattr(policies, "SCHEMES", counting)
    refusal(parties, request)
    assert derived == []


@pytest.mark.parametrize("value", [True, -1, 0, 1 << 62, 1e300, -0.5, "", "x" * 256])
def test_strange_parameters_are_refused_whatever_the_scheme_makes_of_them(federation, scheme_name, value):
    """Each parameter of each scheme, with values that its constructor was never meant to see: no crash at a site."""
    parties = federation(scheme_name)
    request = parties.round().begin()["site-1"]
    parameters = Request.from_bytes(request).proposal.parameters
    site = parties.site("site-1")
    for name in parameters:
        asked = Request.from_bytes(changed(request, parameters={**parameters, name: value}))
        try:
            site.policy.accept(asked.proposal)
        except SecAggError as refused:
            assert "\n" not in str(refused)


def test_a_cohort_below_the_floor_by_declaring_the_others_gone_is_refused(federation, variant):
    """Three of five answer, as many as the scheme needs; one site asks for four."""
    parties = federation(variant)
    parties.config["site-1"] = parties.config["site-1"] | {"secagg-minimum-cohort": 4}
    rnd = parties.run(parties.round(), way=lambda name, request, rnd: request if name < "site-4" else None)
    assert rnd.output is None
    reasons = [item.reason for item in rnd.refused if item.peer == "site-1"]
    assert len(reasons) == 1
    assert reasons[0].startswith("ProtocolViolation: ")


@pytest.mark.parametrize("number", [1, 2])
def test_a_repeated_model_with_one_site_fewer_is_refused_by_all_who_answered(federation, variant, sample, number):
    """The difference of the two sums would be the missing site's update."""
    parties = federation(variant)
    assert parties.run(parties.round()).output is not None
    rnd = parties.round(parties.proposal(number))
    parties.run(rnd, way=lambda name, request, rnd: None if name == "site-5" else request)
    assert rnd.output is None
    reasons = only_at(rnd, *parties.names[:4])
    assert all(reason.startswith(("RepeatedContext: ", "StateError: ")) for reason in reasons)
    assert number == 1 or all("already answered for this model" in reason for reason in reasons)


def test_without_its_store_a_site_answers_the_repeated_model(federation, variant):
    """The same without the defence."""
    parties = federation(variant)
    first = parties.run(parties.round())
    for name in parties.names:
        for file in (parties.folder / f"{name}.store").iterdir():
            file.unlink()
    second = parties.round(parties.proposal(2))
    parties.run(second, way=lambda name, request, rnd: None if name == "site-5" else request)
    assert (first.output.survivors, second.output.survivors) == ((1, 2, 3, 4, 5), (1, 2, 3, 4))


def test_a_request_of_another_version_names_both(federation, variant):
    parties = federation(variant)
    request = bytearray(parties.round().begin()["site-1"])
    request[7] = 2
    said = refusal(parties, bytes(request))
    assert said == "WireError: the request is of version 2, this side speaks version 1"


def test_an_oversized_request_is_refused_unread(federation, monkeypatch):
    parties = federation("bonawitz")
    rnd = parties.round()
    request = rnd.begin()["site-1"]
    with pytest.raises(SecAggError, match="at most 100 are allowed"):
        Request.from_bytes(request, 100)
    asked = Request.from_bytes(request)
    large = Request(asked.proposal, 1, [bytes(parties.scheme.envelope_limit + 1)]).to_bytes()
    assert "are allowed" in refusal(parties, large)
    fat = msgspec.structs.replace(asked.proposal, terms=bytes(1 << 17))
    assert "at most 65536 are allowed" in refusal(parties, Request(fat, 1, ()).to_bytes())


GARBAGE = [b"", b"secagg", b"secagg?\x01", bytes(100), b"secagg!\x01" + bytes(100), b"secagg?\x01" + b"\xff" * 100]


@pytest.mark.parametrize("garbage", GARBAGE)
def test_garbage_is_refused(federation, garbage):
    assert refusal(federation("bonawitz"), garbage).startswith("WireError: ")


def test_every_cut_and_every_changed_byte_of_a_request_is_refused_or_means_what_it_says(federation, variant):
    """No byte of a request makes a site raise; and what it then answers it answers to its own number alone."""
    parties = federation(variant)
    request = parties.round().begin()["site-1"]
    site = parties.site("site-1")
    for size in range(len(request)):
        assert site.take(request[:size]).refused
    for place in range(0, len(request), 7):
        data = bytearray(request)
        data[place] ^= 0x40
        turn = site.take(bytes(data))
        assert turn.refused or Answers.from_bytes(turn.answers, LIMIT).envelopes


def test_a_proposal_for_another_job_than_the_runtimes_is_refused(federation, variant):
    """Rounds of one job only go up: an aggregator that names another job could begin again."""
    parties = federation(variant)
    request = changed(parties.round().begin()["site-1"], job="another job")
    assert "is for job 'another job'; this is job 'job'" in refusal(parties, request)


def test_a_step_of_another_round_is_refused(federation, variant, sample):
    parties = federation(variant)
    seen = []

    def watch(name, request, rnd):
        if name == "site-1":
            seen.append(request)
        return request

    parties.run(parties.round(), way=watch)
    last = Request.from_bytes(seen[-1])
    current = parties.round(parties.proposal(2, sample(1)))
    asked = Request.from_bytes(current.begin()["site-1"])
    parties.answer("site-1", asked.to_bytes(), sample(1))
    mixed = Request(asked.proposal, asked.participant, last.envelopes)
    assert refusal(parties, mixed.to_bytes()).startswith(("StateError: ", "WireError: "))


def test_both_secrets_of_one_site_are_not_opened(federation, variant):
    """After an honest round the aggregator asks again, with site-5 declared gone: mask keys would open its input."""
    parties = federation(variant)
    last = {}
    parties.run(parties.round(), way=lambda name, request, rnd: last.setdefault((name, rnd.step), request))
    asked = Request.from_bytes(last["site-1", parties.scheme.steps[-1]])
    envelope = Envelope.from_bytes(asked.envelopes[0], LIMIT)
    lie = decode(UnmaskRequest, envelope.payload, LIMIT)
    lie = msgspec.structs.replace(lie, survivors=tuple(own for own in lie.survivors if own != 5))
    forged = msgspec.structs.replace(envelope, payload=encode(lie)).to_bytes()
    request = Request(asked.proposal, asked.participant, [forged]).to_bytes()
    assert refusal(parties, request).startswith("StateError: ")


def test_a_request_that_comes_twice_gets_the_same_bytes(federation, variant, sample):
    """A site that was killed after it answered, or an answer that got lost: it answers from its files alone."""
    parties = federation(variant)

    def answer(name, request):
        answers = parties.answer(name, request, sample(0))
        again = parties.site(name).take(request)
        assert not again.awaits_vector
        assert again.answers == answers
        return answers

    rnd = parties.run(parties.round(), answer=answer)
    parties.check(rnd, [1, 2, 3, 4, 5])


@pytest.mark.parametrize("name", ["bfv", "ckks"])
def test_a_request_of_several_envelopes_that_comes_twice_gets_the_same_bytes(federation, sample, name):
    """A sum of several ciphertexts is released in one answer to several envelopes: they are one step."""
    parties = federation(name, extra=20_000)
    arrays = sample(0, extra=20_000)
    several = 0

    def again(site, request, rnd):
        nonlocal several
        if not rnd.uploads and len(Request.from_bytes(request).envelopes) > 1:
            several += 1
            assert parties.answer(site, request, arrays) == parties.answer(site, request, arrays)
        return request

    rnd = parties.run(parties.round(parties.proposal(1, arrays)), arrays, again)
    assert several
    assert rnd.refused == ()
    parties.check(rnd, [1, 2, 3, 4, 5], arrays)


def test_of_a_request_that_is_refused_at_its_end_nothing_is_taken(federation, sample):
    """Else an aggregator could have its first envelopes taken without the last, and the whole refused for good."""
    parties = federation("bfv", extra=20_000)
    arrays = sample(0, extra=20_000)
    refused = []

    def spoilt_before(name, request, rnd):
        asked = Request.from_bytes(request)
        if not rnd.uploads and len(asked.envelopes) > 1:
            last = msgspec.structs.replace(Envelope.from_bytes(asked.envelopes[-1], LIMIT), binding=bytes(32))
            spoilt = Request(asked.proposal, asked.participant, [*asked.envelopes, last.to_bytes()])
            refused.append(refusal(parties, spoilt.to_bytes(), name))
        return request

    rnd = parties.run(parties.round(parties.proposal(1, arrays)), arrays, spoilt_before)
    assert refused
    assert all(reason.startswith("WireError: ") for reason in refused)
    parties.check(rnd, [1, 2, 3, 4, 5], arrays)


def test_a_vector_where_none_is_due_is_refused(federation, variant, sample):
    parties = federation(variant)
    turn = parties.site("site-1").take(parties.round().begin()["site-1"])
    assert not turn.awaits_vector
    said = Answers.from_bytes(turn.contribute(parties.vector("site-1", sample(0)), parties.seen(sample(0))), LIMIT)
    assert said.refusal == "StateError: a vector is given where none is due"


def uploading(parties, sample):
    """The turn of site-1 in which its vector is due."""
    requests = parties.reach(parties.round(), lambda rnd: rnd.uploads)
    return parties.site("site-1").take(requests["site-1"])


def test_training_does_not_begin_for_another_model(federation, variant, sample):
    parties = federation(variant)
    turn = uploading(parties, sample)

    def train():
        raise AssertionError("it was trained")

    assert "not those of the context digest" in Answers.from_bytes(turn.contribute(train, bytes(32)), LIMIT).refusal
    assert turn.awaits_vector, "the right model may still come"
    turn.contribute(parties.vector("site-1", sample(0)), parties.seen(sample(0)))
    assert Answers.from_bytes(turn.answers, LIMIT).envelopes


def test_training_that_raises_raises_through(federation, variant, sample):
    parties = federation(variant)

    def train():
        raise ZeroDivisionError("the trainer's own")

    turn = uploading(parties, sample)
    with pytest.raises(ZeroDivisionError):
        turn.contribute(train, parties.seen(sample(0)))


def test_what_a_site_refuses_of_its_own_is_told_without_its_values_and_paths(federation, variant, sample, caplog):
    """The machine's error names the value that does not fit: a coordinate of this participant's vector."""
    parties = federation(variant)
    turn = uploading(parties, sample)
    vector = parties.vector("site-1", sample(0)).astype(np.int64)
    vector[0] = 123_456_789_123
    with caplog.at_level(logging.ERROR, "secagg.round"):
        said = Answers.from_bytes(turn.contribute(vector, parties.seen(sample(0))), LIMIT).refusal
    assert said == "InputError: this site's own input or files do not fit; its log says more"
    assert "123456789123" in caplog.text
    assert str(parties.folder) not in turn.refuse(InputError(f"{parties.folder} is damaged")).decode("latin-1")


def test_a_store_that_cannot_be_written_is_a_refusal(federation, variant, sample):
    parties = federation(variant)
    request = parties.round().begin()["site-1"]
    site = parties.site("site-1")
    (parties.folder / "site-1.store" / "jobs").mkdir()  # what is a folder cannot be replaced by a file
    assert site.take(request).refused


def test_an_adapters_own_refusal_is_seen_at_the_aggregator(federation, variant, sample):
    parties = federation(variant)
    rnd = parties.round()
    turn = parties.site("site-1").take(rnd.begin()["site-1"])
    rnd.take("site-1", turn.refuse(ParameterError("this study ended yesterday")))
    assert only_at(rnd, "site-1") == ["ParameterError: this study ended yesterday"]


@pytest.mark.parametrize("kind", ["", "(1,f8", "<M8[s]", "<f8,", "f8,(", "|O", "|V8"])
def test_a_model_of_strange_types_is_refused(kind):
    with pytest.raises(WireError, match="there is no model in the request"):
        unpacked(msgspec.msgpack.encode([("array", kind, (1,), bytes(8))]))
