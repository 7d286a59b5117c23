"""Abort messages: a reason for leaving that nobody can use against a round, or against anyone but its sender."""

import msgspec
import numpy as np
import pytest

from secagg import (
    Bonawitz,
    ProtocolViolation,
    RepeatedContext,
    RoundFailed,
    Simulation,
    StateError,
    WireError,
)
from secagg.conformance.weakened import Weakness, weakened
from secagg.round import Answers, Proposal, Round, drive
from secagg_he import Bfv, BudgetSpent, ThresholdCkks
from secagg_protocols import InputError, LightSecAgg, Plain
from secagg_protocols.bonawitz.messages import SealedShares
from secagg_protocols.core.aborts import ABORT, PAYLOAD_LIMIT, REASON_BYTES, Abort, abort_for
from secagg_protocols.core.machine import Terminal
from secagg_protocols.core.wire import decode
from secagg_protocols.dealing.server import DealingServer


def inputs(scheme):
    return [np.full(scheme.length, who) for who in range(1, scheme.participants + 1)]


def test_a_participant_that_refuses_says_why_and_is_not_waited_for(adversary):
    scheme = Bonawitz(5, 20, adversary=adversary, threshold=3)

    def short_of_a_byte(machine, envelopes):
        spoilt = []
        for envelope in envelopes:
            if envelope.kind == "SealedShares" and envelope.recipient == 2:
                dealers, sealed = msgspec.msgpack.decode(envelope.payload)
                envelope = machine.seal("SealedShares", 2, SealedShares(tuple(dealers), memoryview(sealed[:-1])))
            spoilt.append(envelope)
        return spoilt

    attack = Simulation(scheme, inputs(scheme), misbehave={0: short_of_a_byte})
    run = attack.run()
    assert run.dropped[2].reason.startswith("left, and says: ")
    assert "sealed bytes for 4 dealers" in run.dropped[2].reason
    assert attack.clients[2].abort_reason in run.dropped[2].reason


def test_a_server_tells_whom_it_dropped_and_why(adversary):
    scheme = Bonawitz(5, 20, adversary=adversary, threshold=3)

    def silent(machine, envelopes):
        return [] if envelopes and envelopes[0].kind == "ShareKeys" else envelopes

    def twice(machine, envelopes):
        if not envelopes or envelopes[0].kind != "AdvertiseKeys":
            return envelopes
        fields = msgspec.msgpack.decode(envelopes[0].payload)
        fields[1] = fields[0]
        return [machine.seal("AdvertiseKeys", 0, type(machine).advertise_type(*fields))]

    attack = Simulation(scheme, inputs(scheme), misbehave={3: silent, 4: twice})
    attack.run()
    assert attack.clients[3].abort_reason == "the server says: did not answer"
    assert attack.clients[4].abort_reason == "the server says: a public key was already advertised, for another use"
    for who in (3, 4):
        assert attack.clients[who].state is Terminal.ABORTED
        assert attack.clients[who]._memory.own is None


def test_a_server_whose_round_failed_tells_everyone_why(adversary):
    scheme = Bonawitz(5, 20, adversary=adversary, threshold=3)
    attack = Simulation(scheme, inputs(scheme), drop=dict.fromkeys((3, 4, 5), "MaskedInput"))
    with pytest.raises(RoundFailed):
        attack.run()
    for who in (1, 2):
        assert "round failed at MaskedInput" in attack.clients[who].abort_reason
    assert not attack.server.aborts()  # each is told once


@pytest.mark.parametrize(
    "scheme", [Bonawitz(3, 20, adversary="active"), Bonawitz(3, 20)], ids=lambda s: str(s.adversary)
)
def test_a_round_that_fails_as_participants_refuse_says_what_the_first_said(scheme):
    attack = Simulation(scheme, inputs(scheme), drop={3: "MaskedInput"})  # two are left, and all want three
    with pytest.raises(RoundFailed, match=r"participant 1 left, and says: the .*counts 2 .*takes part with 3 or more"):
        attack.run()


def test_a_round_that_fails_in_silence_has_no_more_to_say():
    scheme = Bonawitz(5, 20, threshold=3)
    attack = Simulation(scheme, inputs(scheme), drop=dict.fromkeys((3, 4, 5), "MaskedInput"))
    with pytest.raises(RoundFailed, match="have 2 of the 3 participants needed; no sum was released"):
        attack.run()


# --- what nobody gets out of it


@pytest.mark.parametrize("error", [ProtocolViolation("no"), RepeatedContext("no"), BudgetSpent("no")])
def test_what_a_participant_refuses_for_good_makes_it_leave(make_attack, adversary, error):
    client = make_attack(Bonawitz(5, 20, adversary=adversary)).clients[1]
    client.start()
    (told,) = client.abort(error)
    assert decode(Abort, told.payload, PAYLOAD_LIMIT).reason == "no"
    assert client.state is Terminal.ABORTED
    assert client._memory.own is None


# --- the reason


@pytest.mark.parametrize("reason", ["", "x" * (REASON_BYTES + 1), "two\nlines", "\x1b[31mred", "\u202e", "é" * 129])
def test_reasons_that_are_no_line_are_refused(make_attack, reason):
    with pytest.raises(ValueError, match="one line"):
        Abort(reason)
    attack = make_attack(Bonawitz(5, 20))
    attack.server.start()
    envelope = attack.clients[3].seal(ABORT, 0, Abort("x"))
    with pytest.raises(WireError):
        attack.server.receive(msgspec.structs.replace(envelope, payload=msgspec.msgpack.encode([reason])))
    assert not attack.server.dropped


@pytest.mark.parametrize("text", ["", "x" * 1000, "é" * 1000, "a\nb", "\ud800", "\U0001f600" * 99])
def test_any_text_makes_a_reason(text):
    reason = abort_for(text).reason
    assert 0 < len(reason.encode()) <= REASON_BYTES


def test_a_reason_holds_no_value_of_the_vector(make_attack):
    attack = make_attack(Bonawitz(5, 20)).run("UnmaskRequest")
    client = attack.clients[1]
    with pytest.raises(StateError):
        client.contribute(np.full(20, 54321))
    with pytest.raises(InputError) as caught:
        attack.scheme.domain.check(np.full(20, 54321 << 20))
    assert client.abort(caught.value) == []
    (told,) = client.abort()
    assert b"54321" not in bytes(told.payload)


@pytest.mark.parametrize("scheme", [Bonawitz(2, 1), Plain(2, 1), LightSecAgg(2, 1), ThresholdCkks(2, 1), Bfv(2, 1)])
def test_the_longest_reason_fits_every_scheme(scheme):
    assert scheme.payload_limit >= PAYLOAD_LIMIT


# --- answers that are held


def answers_and_leaves(attack, leaver):
    """Run a round of ThresholdCkks whose participants answer a request each at once; one leaves with its ciphertext."""

    def exchange(requests, uploads):
        for who in requests:
            client = attack.clients[who]
            if client.state is Terminal.ABORTED:
                continue
            asked = requests.envelopes(who)
            answers = [] if asked else client.start()
            for envelope in asked:
                answers += client.receive(envelope)
            answers += attack.vector_of(who)
            if who == leaver and answers[-1].kind == "Encrypt":
                answers += client.abort()
            yield who, Answers(tuple(envelope.to_bytes() for envelope in answers))

    server = attack.server
    drive(Round(server, Proposal.of(attack.scheme, server.context), attack.clients), exchange)
    return server


@pytest.mark.parametrize("leaver", [1, 2, 6])
def test_who_leaves_once_its_ciphertext_is_held_does_not_end_the_round(make_attack, adversary, leaver):
    """Dealers are judged when the last holder has spoken: until then a whole ciphertext is not in the sum yet."""
    attack = make_attack(ThresholdCkks(6, 20, adversary=adversary, threshold=4))
    server = answers_and_leaves(attack, leaver)
    assert server.output.survivors == (1, 2, 3, 4, 5, 6)
    np.testing.assert_array_equal(server.output.total, attack.total_of(1, 2, 3, 4, 5, 6))
    assert server.dropped[leaver].reason == "left, and says: it left the round"


class Freeing(DealingServer):
    def _let_go(self, envelope):
        outgoing = super()._let_go(envelope)
        self._lose(envelope.sender)
        return outgoing


KEPT = Weakness("what is held is kept", "what came of a participant is freed when it leaves", server=Freeing)


def test_if_what_is_held_of_those_who_leave_were_freed_one_of_them_would_end_the_round(make_attack, adversary):
    with pytest.raises(RoundFailed, match="decrypt to noise"):
        answers_and_leaves(make_attack(weakened(ThresholdCkks, KEPT)(6, 20, adversary=adversary, threshold=4)), 2)
