"""Keys for the next round ride with the last answer of this one: a round trip less, and nothing else changes."""

import pytest

from secagg.round import Answers, Request
from secagg_protocols import Envelope, Step
from secagg_protocols.core.wire import MAX_PARTICIPANTS

SCHEMES = ["bonawitz", "bonawitz active", "lightsecagg", "threshold-ckks active", "secagg-plus"]
LIMIT = 1 << 24


def two_rounds(parties, sample, *, ahead=True, way=lambda name, request, rnd: request, names=None):
    """Two rounds over two models; returns both, the second one with what came ahead."""
    first = parties.run(parties.round(parties.proposal(1, sample(0), ahead=ahead)), sample(0))
    second = parties.round(parties.proposal(2, sample(1), ahead=ahead), names, ahead=first.keys_ahead)
    return first, parties.run(second, sample(1), way)


@pytest.mark.parametrize("name", SCHEMES)
def test_the_second_round_asks_nobody_for_keys(federation, sample, name):
    parties = federation(name)
    first, second = two_rounds(parties, sample)
    parties.check(first, [1, 2, 3, 4, 5], sample(0))
    parties.check(second, [1, 2, 3, 4, 5], sample(1))
    assert set(first.keys_ahead) == set(parties.names)
    assert parties.asked[:2] == [0, 5]
    assert second.refused == ()


def test_keys_that_nobody_asked_for_are_not_sent(federation, sample, variant):
    parties = federation(variant)
    first, second = two_rounds(parties, sample, ahead=False)
    assert first.keys_ahead == {}
    assert parties.asked[:1] == [5]
    parties.check(second, [1, 2, 3, 4, 5], sample(1))


def test_keys_that_nobody_asked_for_are_refused(federation, sample):
    """The last round of a training: nobody would ever use them, and whoever sends them is not as it should be."""
    parties = federation("bonawitz")
    rnd = parties.round(parties.proposal(1, sample(0)))
    key = parties.answer("site-1", parties.round(parties.proposal(2, sample(1))).begin()["site-1"], sample(1))
    parties.reach(rnd, lambda rnd: rnd.step == parties.scheme.steps[-1])
    rnd.take("site-1", key)
    assert rnd.keys_ahead == {}
    assert [item.peer for item in rnd.refused] == ["site-1"]


def test_a_site_may_do_without(federation, sample, variant):
    parties = federation(variant)
    parties.config["site-2"] = parties.config["site-2"] | {"secagg-early-keys": False}
    first, second = two_rounds(parties, sample)
    assert set(first.keys_ahead) == set(parties.names) - {"site-2"}
    assert parties.asked[:1] == [1]
    parties.check(second, [1, 2, 3, 4, 5], sample(1))


def test_who_was_not_there_is_asked_again(federation, sample, variant):
    parties = federation(variant)

    def lose(name, request, rnd):
        return None if name == "site-4" and rnd.uploads else request

    first = parties.run(parties.round(parties.proposal(1, sample(0), ahead=True)), sample(0), lose)
    second = parties.round(parties.proposal(2, sample(1)), ahead=first.keys_ahead)
    parties.run(second, sample(1))
    assert parties.asked[:1] == [1]
    parties.check(second, [1, 2, 3, 4, 5], sample(1))


def test_keys_of_another_round_are_not_used_and_everybody_is_asked(federation, sample, variant):
    parties = federation(variant)
    first = parties.run(parties.round(parties.proposal(1, sample(0), ahead=True)), sample(0))
    later = parties.round(parties.proposal(3, sample(1)), ahead=first.keys_ahead)
    parties.run(later, sample(1))
    assert parties.asked[:1] == [5]
    parties.check(later, [1, 2, 3, 4, 5], sample(1))


def test_without_a_roster_a_key_counts_only_for_the_number_that_sent_it(federation, sample):
    """In another order of peers, site-1 would be participant 5 with participant 1's key."""
    parties = federation("bonawitz")
    first = parties.run(parties.round(parties.proposal(1, sample(0), ahead=True)), sample(0))
    turned = parties.round(parties.proposal(2, sample(1)), list(reversed(parties.names)), ahead=first.keys_ahead)
    assert set(turned.begin()) == set(parties.names) - {"site-3"}


def test_garbage_ahead_is_not_used(federation, sample, variant):
    parties = federation(variant)
    ahead = {"site-1": b"", "site-2": bytes(300), "site-3": b"\xff" * (LIMIT * 2), "nobody": b"x"}
    rnd = parties.run(parties.round(ahead=ahead))
    parties.check(rnd, [1, 2, 3, 4, 5])


def test_a_peer_that_sends_anothers_key_ahead_is_refused(federation, sample, variant):
    """Last answers of two sites are exchanged between them: neither key is kept under the other's name."""
    parties = federation(variant)
    rnd = parties.round(parties.proposal(1, sample(0), ahead=True))
    requests = parties.reach(rnd, lambda rnd: rnd.step == parties.scheme.steps[-1])
    last = {name: parties.answer(name, requests[name], sample(0)) for name in requests}
    key_of_2 = Answers.from_bytes(last["site-2"], LIMIT).envelopes[-1]
    assert Envelope.from_bytes(key_of_2, LIMIT).kind == Step.ADVERTISE_KEYS
    rnd.take("site-1", Answers([key_of_2]).to_bytes())
    assert "site-1" not in rnd.keys_ahead
    assert [item.peer for item in rnd.refused] == ["site-1"]
    for name, data in last.items():
        rnd.take(name, data)
    rnd.advance()
    assert set(rnd.keys_ahead) == set(parties.names)


def test_a_key_before_the_last_step_is_refused(federation, sample):
    parties = federation("bonawitz")
    rnd = parties.round(parties.proposal(1, sample(0), ahead=True))
    requests = rnd.begin()
    keys = {name: parties.answer(name, requests[name], sample(0)) for name in requests}
    for name, data in keys.items():
        rnd.take(name, data)
    rnd.advance()
    rnd.take("site-1", keys["site-1"])
    assert rnd.keys_ahead == {}
    assert "too late" in rnd.refused[0].reason


def test_who_was_not_there_sends_nothing_ahead(federation, sample):
    """With a roster: a peer of whom nothing has verified could hand in anything for the next round."""
    parties = federation("bonawitz active")
    rnd = parties.round(parties.proposal(1, sample(0), ahead=True))
    key = parties.answer("site-4", parties.round(parties.proposal(2, sample(1))).begin()["site-4"], sample(1))
    parties.reach(rnd, lambda rnd: rnd.step == parties.scheme.steps[-1], without=("site-4",))
    rnd.take("site-4", key)
    assert rnd.keys_ahead == {}
    assert "was not there in this one" in rnd.refused[0].reason


def test_a_passed_round_leaves_no_session_in_the_store(federation, sample, variant):
    """What is left of a round, and keys for a round that is not this one, is deleted when the next one begins."""
    parties = federation(variant)
    two_rounds(parties, sample)
    kept = {"lock", "ledger", "jobs"}

    def sessions(name):
        return {file.name for file in (parties.folder / f"{name}.store").iterdir()} - kept

    for name in parties.names:
        assert len(sessions(name)) == 2, "the round that is over, and keys for the third"
    parties.run(parties.round(parties.proposal(4, sample(2))), sample(2))
    for name in parties.names:
        assert len(sessions(name)) == 1


def test_what_is_refused_ends_no_session(federation, sample, variant):
    parties = federation(variant)
    refused = []

    def interrupt(name, request, rnd):
        asked = Request.from_bytes(request)
        if name == "site-1" and rnd.uploads:
            other = parties.proposal(9, sample(3))
            stray = Request(other, asked.participant or MAX_PARTICIPANTS, asked.envelopes).to_bytes()
            refused.append(parties.site(name).take(stray).refused)
        return request

    rnd = parties.run(parties.round(), way=interrupt)
    parties.check(rnd, [1, 2, 3, 4, 5])
    assert refused == [True]
