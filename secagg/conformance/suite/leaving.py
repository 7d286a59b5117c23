"""Abort messages: a reason for leaving that nobody can use against a round, or against anyone but its sender."""

import msgspec
import numpy as np
import pytest

from secagg import simulate
from secagg_protocols import (
    SERVER,
    AuthenticationError,
    DurableClient,
    Envelope,
    Identity,
    InputError,
    LateMessage,
    MemoryLedger,
    Participant,
    ProtocolViolation,
    RepeatedContext,
    RoundContext,
    SnapshotStore,
    StateError,
    WireError,
)
from secagg_protocols.core.aborts import ABORT, PAYLOAD_LIMIT, Abort
from secagg_protocols.core.machine import Terminal
from secagg_protocols.core.wire import decode, encode

from ..attack import EVERY
from ..capability import ANSWERS, ANSWERS_AFTERWARDS, RECOVERS_DROPOUTS, SIGNS, UNSIGNED, needs

EVERYONE = (1, 2, 3, 4, 5)


def inputs(scheme):
    return [np.full(scheme.length, who) for who in range(1, scheme.participants + 1)]


def leaving_at(step, calls):
    """Make a participant leave in the place of what it would send in a step."""

    def leave(machine, envelopes):
        if envelopes and envelopes[-1].kind == step.value:
            calls.append(machine.abort())
            return calls[-1]
        return envelopes

    return leave


@needs(ANSWERS, RECOVERS_DROPOUTS)
def test_who_leaves_with_a_reason_is_a_dropout_like_any_other(make_attack, scheme):
    for step in scheme.steps[:-1]:
        calls = []
        run = simulate(scheme, inputs(scheme), misbehave={2: leaving_at(step, calls)})
        assert (run.dropped[2].step, run.dropped[2].reason) == (step, "left, and says: it left the round")
        silent = simulate(scheme, inputs(scheme), drop={2: step})
        assert (run.survivors, run.dropped.keys()) == (silent.survivors, silent.dropped.keys())
        assert (run.total == silent.total).all()
        assert len(calls) == 1


def test_a_server_whose_round_failed_tells_everyone_why(make_attack, scheme):
    attack = make_attack(scheme, absent=dict.fromkeys((1, 2, 3, 4, 5), scheme.upload_step)).run()
    assert attack.failure is not None
    told = {envelope.recipient: attack.server.open(envelope).reason for envelope in attack.server.aborts()}
    assert told.keys() == set(EVERYONE)
    assert all(
        f"round failed at {scheme.upload_step.value}" in reason or "did not" in reason for reason in told.values()
    )
    assert not attack.server.aborts()  # each is told once


# --- what nobody gets out of it


@needs(SIGNS)
def test_without_a_good_signature_nobody_is_made_to_leave(make_attack, scheme):
    attack = make_attack(scheme)
    attack.server.start()
    stranger = Identity.generate("stranger", scheme.ciphersuite)
    honest = attack.clients[3].seal(ABORT, SERVER, Abort("bye"))
    forged = [
        msgspec.structs.replace(honest, signature=b""),
        msgspec.structs.replace(honest, signature=bytes(64)),
        msgspec.structs.replace(honest, sender=2),
        msgspec.structs.replace(honest, payload=encode(Abort("no"))),
    ]
    attack.clients[3]._identity, own = stranger, attack.clients[3]._identity
    forged.append(attack.clients[3].seal(ABORT, SERVER, Abort("bye")))
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


@needs(UNSIGNED)
def test_without_signatures_a_forged_abort_costs_the_one_it_speaks_for_and_nobody_else(make_attack, scheme):
    attack = make_attack(scheme)
    attack.server.start()
    forged = msgspec.structs.replace(attack.clients[4].seal(ABORT, SERVER, Abort("bye")), sender=3)
    attack.server.receive(forged)
    assert set(attack.server.dropped) == {3}


def test_an_abort_of_another_round_is_refused(make_attack, scheme):
    old = make_attack(scheme)
    told = old.clients[3].abort()
    held = {"parties": (old.identities, old.roster), "keys": old.keys}
    later = make_attack(scheme, context=RoundContext("job", 2, bytes(32)), **held)
    later.server.start()
    with pytest.raises(WireError, match="another round"):
        later.server.receive(told[0])
    assert not later.server.dropped


@needs(ANSWERS, RECOVERS_DROPOUTS)
def test_a_server_cannot_have_a_participant_answer_again_by_ending_its_round(make_attack, scheme):
    for closed in scheme.steps[:-1]:
        ledgers = {who: MemoryLedger() for who in EVERYONE}
        ended = []

        def end(attack, envelopes, ended=ended, closed=closed):
            following = scheme.steps[scheme.steps.index(closed) + 1]
            if attack.server.state is not following or ended:
                return envelopes
            mine = next(envelope for envelope in envelopes if envelope.recipient == 1)
            attack.clients[1].receive(attack.server.seal(ABORT, 1, Abort("let us start again")))
            with pytest.raises(StateError):
                attack.clients[1].receive(mine)
            ended.append(attack)
            return [envelope for envelope in envelopes if envelope.recipient != 1]

        attack = make_attack(scheme, {SERVER: {EVERY: end}}, ledgers=ledgers).run()
        assert ended
        client = attack.clients[1]
        assert client.state is Terminal.ABORTED
        calls = (client.start, lambda: client.contribute(attack.vectors[1]), lambda: client.bind_context(bytes(32)))
        for call in calls:
            with pytest.raises(StateError):
                call()
        if 1 in attack.sent[scheme.upload_step.value]:  # what it gave counts, whatever the server says of the round
            with pytest.raises(RepeatedContext):
                ledgers[1].claim(attack.server.context, False, b"")


@needs(ANSWERS_AFTERWARDS, RECOVERS_DROPOUTS)
def test_an_answer_that_is_in_the_sum_is_not_taken_back_by_leaving(make_attack, scheme):
    def leave(attack, envelopes):
        for envelope in envelopes:
            attack.to_server(envelope)
        return attack.clients[2].abort()

    attack = make_attack(scheme, {2: {scheme.upload_step.value: leave}}).run()
    attack.check_total_of(*EVERYONE)
    assert attack.server.dropped[2].reason == "left, and says: it left the round"


def test_leaving_twice_and_leaving_after_being_dropped_change_nothing(make_attack, scheme):
    attack = make_attack(scheme)
    attack.server.start()
    (told,) = attack.clients[3].abort()
    assert attack.clients[3].abort()[0].to_bytes() == told.to_bytes()
    attack.server.receive(told)
    with pytest.raises(LateMessage):
        attack.server.receive(told)
    assert not attack.server.aborts()  # it knows


MENDABLE = [WireError("x"), AuthenticationError("x"), LateMessage("x"), StateError("x"), InputError("value 70000")]


def test_a_forged_message_or_a_vector_to_correct_does_not_make_a_participant_leave(make_attack, scheme):
    client = make_attack(scheme).clients[1]
    client.start()
    before = client.snapshot()
    for error in MENDABLE:
        assert client.abort(error) == []
        assert client.snapshot() == before


@pytest.mark.parametrize("error", [ProtocolViolation("no"), RepeatedContext("no")])
def test_what_a_participant_refuses_for_good_makes_it_leave(make_attack, scheme, error):
    client = make_attack(scheme).clients[1]
    client.start()
    (told,) = client.abort(error)
    assert decode(Abort, told.payload, PAYLOAD_LIMIT).reason == "no"
    assert client.state is Terminal.ABORTED


def test_after_the_end_there_is_nothing_to_leave(make_attack, scheme):
    attack = make_attack(scheme).run()
    done = [client for client in attack.clients.values() if client.state is Terminal.DONE]
    if not done:
        pytest.skip("its participants may be asked as long as they live")
    client = done[0]
    who = done[0].participant
    before = client.snapshot()
    assert client.abort() == []
    with pytest.raises(StateError):
        client.receive(attack.server.seal(ABORT, who, Abort("again")))
    assert client.snapshot() == before
    with pytest.raises(StateError):
        attack.server.receive(client.seal(ABORT, SERVER, Abort("late")))


def test_the_longest_reason_fits(case):
    assert case.make(max(2, case.smallest), 1).payload_limit >= PAYLOAD_LIMIT


def test_a_durable_participant_leaves_once_and_for_all(tmp_path, make_attack, scheme, quick_disk):
    attack = make_attack(scheme)
    attack.server.start()
    held = Participant(identity=attack.identities.get(1), roster=attack.roster, standing=attack.keys[0])

    def participant():
        return DurableClient(SnapshotStore(tmp_path), scheme, 1, attack.server.context, held)

    participant().start()
    assert participant().abort(WireError("somebody else's")) == []
    told = participant().abort(ProtocolViolation("its reason"))
    assert participant().abort() == told
    with pytest.raises(StateError):
        participant().contribute(attack.vectors[1])
    attack.server.receive(Envelope.from_bytes(told[0], scheme.envelope_limit))
    assert attack.server.dropped[1].reason == "left, and says: its reason"
