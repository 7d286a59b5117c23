"""Abort messages: a reason for leaving that nobody can use against a round, or against anyone but its sender."""

import msgspec
import numpy as np
import pytest

from secagg import (
    AuthenticationError,
    Bonawitz,
    DurableClient,
    Envelope,
    Identity,
    LateMessage,
    MemoryLedger,
    Policy,
    ProtocolViolation,
    RepeatedContext,
    RoundContext,
    RoundFailed,
    Simulation,
    StateError,
    WireError,
    simulate,
)
from secagg_he import Bfv, BudgetSpent, ThresholdCkks
from secagg_protocols import InputError, LightSecAgg, Participant, Plain, SecAggPlus, SnapshotStore
from secagg_protocols.bonawitz.messages import SealedShares
from secagg_protocols.core.aborts import ABORT, PAYLOAD_LIMIT, REASON_BYTES, Abort, abort_for
from secagg_protocols.core.machine import Terminal
from secagg_protocols.core.server import Server
from secagg_protocols.core.wire import decode, encode

SCHEMES = {
    "bonawitz": Bonawitz(5, 20),
    "bonawitz, active": Bonawitz(5, 20, adversary="active"),
    "secagg-plus": SecAggPlus(5, 20, neighbours=4, threshold=3, corrupt_rate=0.0, dropout_rate=0.0),
    "lightsecagg": LightSecAgg(5, 20),
    "threshold-ckks, active": ThresholdCkks(5, 20, adversary="active"),
}


def inputs(scheme):
    return [np.full(scheme.length, who) for who in range(1, scheme.participants + 1)]


def leaving_at(step, calls):
    """Make a participant leave in the place of what it would send in a step."""

    def leave(machine, envelopes):
        if envelopes and envelopes[0].kind == step.value:
            calls.append(machine.abort())
            return calls[-1]
        return envelopes

    return leave


@pytest.mark.parametrize("name", SCHEMES)
def test_who_leaves_with_a_reason_is_a_dropout_like_any_other(name):
    scheme = SCHEMES[name]
    for step in scheme.steps[:-1]:
        calls = []
        run = simulate(scheme, inputs(scheme), misbehave={2: leaving_at(step, calls)})
        assert (run.dropped[2].step, run.dropped[2].reason) == (step, "left, and says: it left the round")
        silent = simulate(scheme, inputs(scheme), drop={2: step})
        assert (run.survivors, run.dropped.keys()) == (silent.survivors, silent.dropped.keys())
        np.testing.assert_array_equal(run.total, silent.total)
        assert len(calls) == 1


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


def test_without_a_good_signature_nobody_is_made_to_leave(make_attack):
    attack = make_attack(Bonawitz(5, 20, adversary="active"))
    attack.server.start()
    stranger = Identity.generate("stranger")
    honest = attack.clients[3].seal(ABORT, 0, Abort("bye"))
    forged = [
        msgspec.structs.replace(honest, signature=b""),
        msgspec.structs.replace(honest, signature=bytes(64)),
        msgspec.structs.replace(honest, sender=2),
        msgspec.structs.replace(honest, payload=encode(Abort("no"))),
    ]
    attack.clients[3]._identity, own = stranger, attack.clients[3]._identity
    forged.append(attack.clients[3].seal(ABORT, 0, Abort("bye")))
    attack.clients[3]._identity = own
    for envelope in forged:
        with pytest.raises(AuthenticationError):
            attack.server.receive(envelope)
    assert not attack.server.dropped
    client = attack.clients[1]
    client.start()
    before = client.snapshot()
    from_server = attack.server.seal(ABORT, 1, Abort("bye"))
    for envelope, refused in (
        (msgspec.structs.replace(from_server, signature=bytes(64)), AuthenticationError),
        (attack.server.seal(ABORT, 2, Abort("bye")), WireError),
        (msgspec.structs.replace(from_server, sender=2), WireError),
        (msgspec.structs.replace(from_server, binding=bytes(32)), WireError),
    ):
        with pytest.raises(refused):
            client.receive(envelope)
    assert client.snapshot() == before


def test_without_signatures_a_forged_abort_costs_the_one_it_speaks_for_and_nobody_else(make_attack):
    attack = make_attack(Bonawitz(5, 20))
    attack.server.start()
    forged = msgspec.structs.replace(attack.clients[4].seal(ABORT, 0, Abort("bye")), sender=3)
    attack.server.receive(forged)
    assert set(attack.server.dropped) == {3}


def test_an_abort_of_another_round_is_refused(make_attack, adversary):
    scheme = Bonawitz(5, 20, adversary=adversary)
    old = make_attack(scheme)
    told = old.clients[3].abort()
    later = make_attack(scheme, parties=(old.identities, old.roster), context=RoundContext("job", 2, bytes(32)))
    later.server.start()
    with pytest.raises(WireError, match="another round"):
        later.server.receive(told[0])
    assert not later.server.dropped


@pytest.mark.parametrize("kind", ["KeyList", "SealedShares", "UnmaskRequest"])
def test_a_server_cannot_have_a_participant_answer_again_by_ending_its_round(make_attack, adversary, kind):
    ledgers, ended = {who: MemoryLedger() for who in range(1, 6)}, []

    def end(attack, envelopes):
        attack.clients[1].receive(attack.server.seal(ABORT, 1, Abort("let us start again")))
        with pytest.raises(StateError):
            attack.clients[1].receive(envelopes[0])
        ended.append(attack)
        return [envelope for envelope in envelopes if envelope.recipient != 1]

    scheme = Bonawitz(5, 20, adversary=adversary, threshold=3)
    attack = make_attack(scheme, {0: {kind: end}}, ledgers=ledgers).run()
    assert ended
    client = attack.clients[1]
    assert client.state is Terminal.ABORTED
    for call in (client.start, lambda: client.contribute(attack.vectors[1]), lambda: client.bind_context(bytes(32))):
        with pytest.raises(StateError):
            call()
    if 1 in attack.sent["MaskedInput"]:  # what it gave counts, whatever the server says of the round
        with pytest.raises(RepeatedContext):
            ledgers[1].claim(attack.server.context, False, b"")


def test_an_answer_that_is_in_the_sum_is_not_taken_back_by_leaving(make_attack, adversary):
    def leave(attack, envelopes):
        for envelope in envelopes:
            attack.to_server(envelope)
        return attack.clients[2].abort()

    scheme = Bonawitz(5, 20, adversary=adversary, threshold=3)
    attack = make_attack(scheme, {2: {"MaskedInput": leave}}).run()
    assert attack.server.output.survivors == (1, 2, 3, 4, 5)
    np.testing.assert_array_equal(attack.server.output.total, attack.total_of(1, 2, 3, 4, 5))
    assert attack.server.dropped[2].reason == "left, and says: it left the round"


def test_leaving_twice_and_leaving_after_being_dropped_change_nothing(make_attack, adversary):
    attack = make_attack(Bonawitz(5, 20, adversary=adversary))
    attack.server.start()
    (told,) = attack.clients[3].abort()
    assert attack.clients[3].abort()[0].to_bytes() == told.to_bytes()
    attack.server.receive(told)
    with pytest.raises(LateMessage):
        attack.server.receive(told)
    assert not attack.server.aborts()  # it knows


@pytest.mark.parametrize(
    "error", [WireError("x"), AuthenticationError("x"), LateMessage("x"), StateError("x"), InputError("value 70000")]
)
def test_a_forged_message_or_a_vector_to_correct_does_not_make_a_participant_leave(make_attack, adversary, error):
    client = make_attack(Bonawitz(5, 20, adversary=adversary)).clients[1]
    client.start()
    before = client.snapshot()
    assert client.abort(error) == []
    assert client.snapshot() == before


@pytest.mark.parametrize("error", [ProtocolViolation("no"), RepeatedContext("no"), BudgetSpent("no")])
def test_what_a_participant_refuses_for_good_makes_it_leave(make_attack, adversary, error):
    client = make_attack(Bonawitz(5, 20, adversary=adversary)).clients[1]
    client.start()
    (told,) = client.abort(error)
    assert decode(Abort, told.payload, PAYLOAD_LIMIT).reason == "no"
    assert client.state is Terminal.ABORTED
    assert client._memory.own is None


def test_after_the_end_there_is_nothing_to_leave(make_attack, adversary):
    attack = make_attack(Bonawitz(5, 20, adversary=adversary)).run()
    before = attack.clients[1].snapshot()
    assert attack.clients[1].abort() == []
    with pytest.raises(StateError):
        attack.clients[1].receive(attack.server.seal(ABORT, 1, Abort("again")))
    assert attack.clients[1].snapshot() == before
    with pytest.raises(StateError):
        attack.server.receive(attack.clients[1].seal(ABORT, 0, Abort("late")))


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


def test_a_durable_participant_leaves_once_and_for_all(tmp_path, make_attack):
    attack = make_attack(Bonawitz(5, 20))
    attack.server.start()

    def participant():
        return DurableClient(
            SnapshotStore(tmp_path), attack.scheme, 1, attack.server.context, Participant(policy=Policy())
        )

    participant().start()
    assert participant().abort(WireError("somebody else's")) == []
    told = participant().abort(ProtocolViolation("its reason"))
    assert participant().abort() == told
    with pytest.raises(StateError):
        participant().contribute(attack.vectors[1])
    attack.server.receive(Envelope.from_bytes(told[0], attack.scheme.envelope_limit))
    assert attack.server.dropped[1].reason == "left, and says: its reason"


# --- answers that are held


def answers_and_leaves(attack, leaver):
    """Run a round of ThresholdCkks whose participants answer a request each at once; one leaves with its ciphertext."""
    server, clients = attack.server, attack.clients
    server.start()
    answers = {who: client.start() for who, client in clients.items()}
    while server.output is None:
        for who, envelopes in answers.items():
            for envelope in envelopes:
                server.receive(envelope)
            if who == leaver and envelopes[-1].kind == "Encrypt":
                server.receive(clients[who].abort()[0])
        outgoing = server.advance()
        answers = {}
        for envelope in outgoing:
            client = clients[envelope.recipient]
            if client.state is not Terminal.ABORTED:
                answers[envelope.recipient] = client.receive(envelope)
                if client.awaits_vector:
                    answers[envelope.recipient] += client.contribute(attack.vectors[envelope.recipient])
    return server


@pytest.mark.parametrize("leaver", [1, 2, 6])
def test_who_leaves_once_its_ciphertext_is_held_does_not_end_the_round(make_attack, adversary, leaver):
    """Dealers are judged when the last holder has spoken: until then a whole ciphertext is not in the sum yet."""
    attack = make_attack(ThresholdCkks(6, 20, adversary=adversary, threshold=4))
    server = answers_and_leaves(attack, leaver)
    assert server.output.survivors == (1, 2, 3, 4, 5, 6)
    np.testing.assert_array_equal(server.output.total, attack.total_of(1, 2, 3, 4, 5, 6))
    assert server.dropped[leaver].reason == "left, and says: it left the round"


def test_if_what_is_held_of_those_who_leave_were_freed_one_of_them_would_end_the_round(
    make_attack, adversary, monkeypatch
):
    honest = Server._let_go

    def freed(server, envelope):
        outgoing = honest(server, envelope)
        server._lose(envelope.sender)
        return outgoing

    monkeypatch.setattr(Server, "_let_go", freed)
    with pytest.raises(RoundFailed, match="decrypt to noise"):
        answers_and_leaves(make_attack(ThresholdCkks(6, 20, adversary=adversary, threshold=4)), 2)
