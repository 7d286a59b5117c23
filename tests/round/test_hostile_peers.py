"""Peers that depart from the protocol: what they send is refused by name and recorded, and the round goes on."""

import msgspec
import numpy as np
import pytest

from secagg.round import Answers
from secagg.round.peers import REFUSALS_KEPT
from secagg.round.rounds import BYTES_PER_VALUE
from secagg_protocols import Envelope, ParameterError

LIMIT = 1 << 24


def reasons(rnd, peer):
    return [item.reason for item in rnd.refused if item.peer == peer]


def first_answers(parties, rnd, sample):
    requests = rnd.begin()
    return {name: parties.answer(name, requests[name], sample(0)) for name in requests}


def finish(parties, rnd, answers, sample):
    """Deliver these answers and drive the round to its end."""
    for name, data in answers.items():
        rnd.take(name, data)
    requests = rnd.advance()
    while rnd.output is None:
        for name in requests:
            rnd.take(name, parties.answer(name, requests[name], sample(0)))
        requests = rnd.advance()
    return rnd


GARBAGE = {
    "nothing": b"",
    "text": b"GET / HTTP/1.1\r\n\r\n",
    "zeros": bytes(4096),
    "noise": np.random.default_rng(0).bytes(4096),
    "no parts": b"secagg!\x01" + bytes(8),
    "a part longer than all": b"secagg!\x01" + (1).to_bytes(8, "big") + (1 << 62).to_bytes(8, "big"),
    "more parts than bytes": b"secagg!\x01" + (1 << 60).to_bytes(8, "big"),
    "a request": b"secagg?\x01" + bytes(64),
    "an envelope that is none": Answers([b"\x00" * 300]).to_bytes(),
    "an envelope of nothing": Answers([b""]).to_bytes(),
}


def test_garbage_is_refused_and_the_peer_may_still_answer(federation, variant, sample):
    parties = federation(variant)
    rnd = parties.round()
    answers = first_answers(parties, rnd, sample)
    for count, (name, garbage) in enumerate(GARBAGE.items(), 1):
        rnd.take(parties.names[count % 5], garbage)
        assert len(rnd.refused) == count, name
    assert rnd.waiting_for == set(parties.names)
    parties.check(finish(parties, rnd, answers, sample), [1, 2, 3, 4, 5])


def test_an_answer_of_another_version_names_both(federation, variant, sample):
    parties = federation(variant)
    rnd = parties.round()
    data = bytearray(first_answers(parties, rnd, sample)["site-2"])
    data[7] = 9
    rnd.take("site-2", bytes(data))
    assert reasons(rnd, "site-2") == ["the answer is of version 9, this side speaks version 1"]


def test_too_large_an_answer_is_refused_before_it_is_read(federation, variant, sample):
    parties = federation(variant)
    rnd = parties.round()
    answers = first_answers(parties, rnd, sample)
    rnd.take("site-2", bytes(rnd.answer_limit + 1))
    assert f"at most {rnd.answer_limit} are allowed" in reasons(rnd, "site-2")[0]
    rnd.take("site-3", Answers([bytes(parties.scheme.envelope_limit + 1)]).to_bytes())
    assert "are allowed" in reasons(rnd, "site-3")[0]
    parties.check(finish(parties, rnd, answers, sample), [1, 2, 3, 4, 5])


def test_what_honest_sites_send_is_within_the_limit(federation, scheme_name, sample):
    """With wide values, in which a scheme sends most for each, and a vector of several blocks."""
    parties = federation(scheme_name, value_bits=32, extra=100_000, config={"secagg-maximum-bits": 63})
    arrays, sizes = sample(0, extra=100_000), []

    def answer(name, request):
        data = parties.answer(name, request, arrays)
        sizes.append(len(data))
        return data

    rnd = parties.run(parties.round(parties.proposal(1, arrays)), arrays, answer=answer)
    assert rnd.refused == ()
    assert max(sizes) < parties.scheme.length * BYTES_PER_VALUE / 2


def test_an_answer_in_anothers_place_is_refused_and_takes_nobodys_place(federation, variant, sample):
    """site-1 hands in site-2's message. With a roster it could only be that: nobody else can sign it."""
    parties = federation(variant)
    rnd = parties.round()
    answers = first_answers(parties, rnd, sample)
    if not parties.scheme.active:
        rnd.take("site-1", answers["site-2"])
        assert reasons(rnd, "site-1") == ["it speaks for participant 2"]
        parties.check(finish(parties, rnd, answers, sample), [1, 2, 3, 4, 5])
        return
    for name, data in answers.items():
        rnd.take(name, data)
    rnd.take("site-1", answers["site-2"])
    assert reasons(rnd, "site-1") == ["it speaks for participant 2"]
    assert rnd.participants == {name: own for own, name in enumerate(parties.names, 1)}


def test_with_a_roster_a_forged_sender_is_refused_and_not_learnt(federation, sample):
    parties = federation("bonawitz active")
    rnd = parties.round()
    answers = first_answers(parties, rnd, sample)
    envelope = Envelope.from_bytes(Answers.from_bytes(answers["site-1"], LIMIT).envelopes[0], LIMIT)
    forged = msgspec.structs.replace(envelope, sender=2)
    rnd.take("site-1", Answers([forged.to_bytes()]).to_bytes())
    assert len(reasons(rnd, "site-1")) == 1
    assert rnd.participants == {}
    parties.check(finish(parties, rnd, answers, sample), [1, 2, 3, 4, 5])


def test_a_second_answer_is_refused(federation, variant, sample):
    parties = federation(variant)
    rnd = parties.round()
    answers = first_answers(parties, rnd, sample)
    rnd.take("site-2", answers["site-2"])
    rnd.take("site-2", answers["site-2"])
    assert len(reasons(rnd, "site-2")) == 1
    assert "already answered" in reasons(rnd, "site-2")[0]
    del answers["site-2"]
    parties.check(finish(parties, rnd, answers, sample), [1, 2, 3, 4, 5])


def test_a_stranger_is_refused(federation, variant, sample):
    parties = federation(variant)
    rnd = parties.round()
    answers = first_answers(parties, rnd, sample)
    rnd.take("mallory", answers["site-2"])
    rnd.take("mallory", Answers.from_bytes(answers["site-2"], LIMIT))
    assert reasons(rnd, "mallory") == ["it is nobody whom this round asks"] * 2
    assert "mallory" not in rnd.participants
    parties.check(finish(parties, rnd, answers, sample), [1, 2, 3, 4, 5])


def test_envelopes_that_come_singly_are_judged_alike(federation, variant, sample):
    parties = federation(variant)
    rnd = parties.round()
    answers = first_answers(parties, rnd, sample)
    rnd.take("site-2", Answers([b"garbage"]))
    envelope = bytes(Answers.from_bytes(answers.pop("site-2"), LIMIT).envelopes[0])
    rnd.take("site-2", Answers([envelope]))
    rnd.take("site-2", Answers([envelope]))
    assert len(reasons(rnd, "site-2")) == 2
    parties.check(finish(parties, rnd, answers, sample), [1, 2, 3, 4, 5])


def test_an_answer_after_the_end_is_refused(federation, variant, sample):
    parties = federation(variant)
    rnd = parties.run(parties.round())
    total = rnd.output.total.copy()
    rnd.take("site-2", Answers().to_bytes())
    rnd.take("site-2", first_answers(parties, parties.round(), sample)["site-2"])
    assert rnd.refused[-1].step is None
    assert (rnd.output.total == total).all()


def test_a_flood_of_garbage_fills_no_record(federation, variant, sample):
    """Of one peer, and of strangers under ever new names."""
    parties = federation(variant)
    rnd = parties.round()
    answers = first_answers(parties, rnd, sample)
    for count in range(1000):
        rnd.take("site-2", b"garbage")
        rnd.take(f"mallory-{count}", b"garbage")
    assert len(rnd.refused) == 2 * REFUSALS_KEPT
    parties.check(finish(parties, rnd, answers, sample), [1, 2, 3, 4, 5])


def test_a_sites_refusal_is_heard_in_one_printable_line(federation, variant, sample, caplog):
    """A peer's own words go into a log: no line of its making, no escape codes, not a whole book."""
    parties = federation(variant)
    rnd = parties.round()
    answers = first_answers(parties, rnd, sample)
    evil = "no\n2026-11-26 ERROR all is lost\x1b[2J" + "x" * 10_000
    honest = Answers(refusal="no").to_bytes()
    assert len(Answers(refusal=evil).to_bytes()) < 1000, "an honest encoder cuts it already"
    long = evil[:2000].encode()
    told = b"\x91\xda" + len(long).to_bytes(2, "big") + long
    data = honest[:8] + (1).to_bytes(8, "big") + len(told).to_bytes(8, "big") + told
    with caplog.at_level("WARNING", "secagg.round"):
        rnd.take("site-2", data)
    (refused,) = rnd.refused
    assert refused.by_site
    assert refused.reason.isprintable()
    assert refused.reason.startswith("no 2026")
    assert len(refused.reason) <= 300
    assert "\n" not in caplog.messages[0]
    del answers["site-2"]
    parties.check(finish(parties, rnd, answers, sample), [1, 3, 4, 5])


def test_who_says_that_it_refuses_is_not_waited_for(federation, variant, sample):
    parties = federation(variant)
    rnd = parties.round()
    rnd.begin()
    assert rnd.waiting_for == set(parties.names)
    rnd.take("site-2", Answers(refusal="ParameterError: no").to_bytes())
    assert rnd.waiting_for == set(parties.names) - {"site-2"}


def test_more_peers_than_participants_is_refused(federation):
    parties = federation("bonawitz")
    with pytest.raises(ParameterError, match="6 peers for a scheme of 5"):
        parties.round(names=[*parties.names, "one more"])


def test_a_proposal_of_another_round_than_the_machines_is_refused(federation):
    parties = federation("bonawitz")
    server = parties.round().server
    with pytest.raises(ParameterError, match="not about the round"):
        type(parties.round())(server, parties.proposal(2), parties.names)
