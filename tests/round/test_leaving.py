"""Who leaves a round says so, and who is dropped from one is told: in answers and requests like all others."""

from dataclasses import replace

import msgspec

from secagg.round import Answers, MemoryStore, Request
from secagg_protocols import Envelope
from secagg_protocols.bonawitz.messages import UnmaskRequest
from secagg_protocols.core.wire import decode, encode

LIMIT = 1 << 24
VICTIM = "site-3"


def too_few(request):
    """A request to unmask a sum of one: nobody may answer that, and whoever is asked it leaves."""
    asked = Request.from_bytes(request)
    envelope = Envelope.from_bytes(asked.envelopes[0], LIMIT)
    lie = msgspec.structs.replace(decode(UnmaskRequest, envelope.payload, LIMIT), survivors=(3,), vanished=(1, 2, 4, 5))
    forged = msgspec.structs.replace(envelope, payload=encode(lie)).to_bytes()
    return Request(asked.proposal, asked.participant, [forged]).to_bytes()


def lied_to(parties, arrays):
    """A round in which one site is asked for the sum of itself alone, and what it said; who was gone then."""
    rnd, said, left = parties.round(), [], {}

    def answer(name, request):
        lied = name == VICTIM and rnd.step == parties.scheme.steps[-1]
        data = parties.answer(name, too_few(request) if lied else request, arrays)
        if lied:
            said.append(Answers.from_bytes(data, LIMIT))
            rnd.take(name, data)
            assert name not in rnd.waiting_for
            left.update(rnd.dropped)
            return Answers().to_bytes()
        return data

    parties.run(rnd, answer=answer)
    return rnd, said[0], left


def test_a_machine_that_has_aborted_tells_the_server_why(federation, sample):
    """Its signed word, beside the reason in the answer: the server need not wait, and its record says why."""
    parties = federation("bonawitz")
    rnd, said, left = lied_to(parties, sample(0))
    assert said.refusal.startswith("ProtocolViolation: ")
    assert [Envelope.from_bytes(item, LIMIT).kind for item in said.envelopes] == ["Abort"]
    assert left[3].reason.startswith("left, and says: ")
    assert said.refusal.removeprefix("ProtocolViolation: ")[:40] in left[3].reason
    parties.check(rnd, [1, 2, 3, 4, 5])


def test_who_is_dropped_is_told_once_and_has_left(federation, sample, variant):
    parties = federation(variant)
    rnd = parties.run(
        parties.round(), way=lambda name, request, rnd: None if name == VICTIM and rnd.uploads else request
    )
    aborts = rnd.aborts()
    assert set(aborts) == {VICTIM}
    turn = parties.site(VICTIM).take(aborts[VICTIM])
    assert not turn.refused
    assert Answers.from_bytes(turn.answers, LIMIT) == Answers()
    assert turn.seat.client.machine.abort_reason == "the server says: did not answer"
    assert dict(rnd.aborts()) == {}


def test_a_failed_round_is_told_to_all_and_whoever_has_ended_takes_no_offence(federation, sample, variant):
    parties = federation(variant)
    last = parties.scheme.steps[-1]
    rnd = parties.run(
        parties.round(), way=lambda name, request, rnd: None if name > "site-2" and rnd.step == last else request
    )
    assert rnd.outcome.failure is not None
    aborts = rnd.aborts()
    assert set(aborts) == set(parties.names)
    for name in aborts:
        turn = parties.site(name).take(aborts[name])
        assert not turn.refused
        assert str(turn.seat.client.machine.state) == ("Done" if name <= "site-2" else "Aborted")


def test_a_store_in_memory_remembers_as_one_on_disk_does(federation, sample, monkeypatch):
    """Asked again, the same bytes; asked about the same model in another round, nothing."""
    parties = federation("bonawitz")
    stores = {name: MemoryStore() for name in parties.names}
    site = type(parties).site

    def remembering(self, name):
        found = site(self, name)
        return replace(found, store=stores[name], policy=replace(found.policy, store=None))

    monkeypatch.setattr(type(parties), "site", remembering)

    def answer(name, request):
        answers = parties.answer(name, request, sample(0))
        assert parties.site(name).take(request).answers == answers
        return answers

    parties.check(parties.run(parties.round(), answer=answer), [1, 2, 3, 4, 5])
    again = parties.run(parties.round(parties.proposal(2)))
    assert again.output is None
    assert {item.reason.partition(":")[0] for item in again.refused} == {"RepeatedContext"}
