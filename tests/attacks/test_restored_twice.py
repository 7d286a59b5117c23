"""Restored twice: two machines from one snapshot have the same secrets. One is made to open one half, one the other."""

import numpy as np
import pytest

from secagg import Bonawitz, MemoryLedger, Policy, RepeatedContext
from secagg_protocols import Participant
from secagg_protocols.bonawitz import steps
from secagg_protocols.bonawitz.client import BonawitzClient
from secagg_protocols.dealing.messages import SurvivorList

VICTIM, EVERYONE, OTHERS = 2, (1, 2, 3, 4, 5), (1, 3, 4, 5)
WILLING = Policy(reruns=1)
"""Every participant lets a failed round be repeated once: with keys of its own for each."""


class ForgetfulLedger(MemoryLedger):
    """A ledger as it would be that remembers vectors and no secrets."""

    def settle(self, subject, choice):
        pass


@pytest.fixture
def scheme(adversary):
    """Return five participants, t = 3, in both variants."""
    return Bonawitz(5, 20, adversary=adversary, threshold=3)


def restored(attack, who, snapshot, ledger):
    """Make the participant again from its snapshot."""
    identity = attack.identities.get(who)
    return attack.scheme.restore(snapshot, Participant(ledger=ledger, identity=identity, roster=attack.roster))


def two_sessions(make_attack, parties, scheme, kind):
    """Give the victim's keys to two rounds, in the second of which it deals and vanishes.

    Everyone else takes part twice, as its policy allows, with new keys. Only the victim is restored from one snapshot.
    """
    held, ledgers = parties(scheme), {who: kind() for who in EVERYONE}
    first = make_attack(scheme, parties=held, policy=WILLING, ledgers=ledgers)
    second = make_attack(scheme, parties=held, policy=WILLING, ledgers=ledgers, vectors=first.vectors)
    keys = first.clients[VICTIM].start()
    snapshot = first.clients[VICTIM].snapshot()
    for attack in (first, second):
        attack.clients[VICTIM] = restored(attack, VICTIM, snapshot, ledgers[VICTIM])
        attack.clients[VICTIM].start = lambda: keys
    first.run()
    second.clients[VICTIM].contribute = lambda vector: []
    second.run()
    return first, second


def test_of_a_participant_restored_twice_the_secrets_are_dealt_in_one_session(make_attack, parties, scheme):
    first, second = two_sessions(make_attack, parties, scheme, MemoryLedger)
    np.testing.assert_array_equal(first.server.output.total, first.total_of(*EVERYONE))
    (refusal,) = second.by(VICTIM)
    assert isinstance(refusal, RepeatedContext)
    assert VICTIM not in second.sent["ShareKeys"]
    assert second.secret(VICTIM, steps.MASK_KEY) is None
    np.testing.assert_array_equal(second.server.output.total, second.total_of(*OTHERS))  # nobody else is held up


def test_with_a_ledger_that_remembers_vectors_alone_a_vector_given_once_is_opened(make_attack, parties, scheme):
    first, second = two_sessions(make_attack, parties, scheme, ForgetfulLedger)
    first.shares[VICTIM, steps.MASK_KEY] = second.shares[VICTIM, steps.MASK_KEY]
    assert VICTIM not in second.sent["MaskedInput"]
    np.testing.assert_array_equal(first.expose(VICTIM), first.vectors[VICTIM])


def asked_again(kind):
    """Ask for every seed, restart everyone from the snapshot before that, and ask for the victim's mask key."""

    def script(attack, honest):
        before = {who: attack.clients[who].snapshot() for who in OTHERS}
        for envelope in honest:
            attack.deliver(envelope)
        for who in OTHERS:
            if isinstance(attack.clients[who], BonawitzClient):
                ledger = attack.clients[who]._ledger if kind is None else kind()
                attack.clients[who] = restored(attack, who, before[who], ledger)
        return attack.tell("UnmaskRequest", dict.fromkeys(OTHERS, attack.request(OTHERS, EVERYONE)))

    return {0: {"UnmaskRequest": script}}


def test_of_a_participant_restored_twice_one_set_of_survivors_is_opened(make_attack):
    attack = make_attack(Bonawitz(5, 20, threshold=3), asked_again(None)).run()
    for who in OTHERS:
        (refusal,) = attack.by(who)
        assert isinstance(refusal, RepeatedContext)
    assert attack.expose(VICTIM) is None


def test_with_a_ledger_that_forgets_what_was_opened_both_secrets_come_out(make_attack):
    attack = make_attack(Bonawitz(5, 20, threshold=3), asked_again(MemoryLedger)).run()
    np.testing.assert_array_equal(attack.expose(VICTIM), attack.vectors[VICTIM])


@pytest.mark.parametrize("forgets", [False, True], ids=["one ledger", "a new ledger"])
def test_of_a_participant_restored_twice_one_list_of_survivors_is_signed(make_attack, forgets):
    attack = make_attack(Bonawitz(5, 20, adversary="active", threshold=3)).run(until="SurvivorList")
    attack.server.advance()
    everyone, others = SurvivorList(EVERYONE), SurvivorList(OTHERS)
    for who in OTHERS:
        client = attack.clients[who]
        again = restored(attack, who, client.snapshot(), MemoryLedger() if forgets else client._ledger)
        assert client.receive(*attack.tell("SurvivorList", {who: everyone}))
        if forgets:
            assert again.receive(*attack.tell("SurvivorList", {who: others}))
            continue
        with pytest.raises(RepeatedContext):
            again.receive(*attack.tell("SurvivorList", {who: others}))
        assert again.receive(*attack.tell("SurvivorList", {who: everyone}))  # the same question has the same answer
