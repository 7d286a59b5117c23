"""Swapped keys: the server shows a participant keys of its own making in place of the others'."""

import numpy as np
import pytest

from secagg import Bonawitz, Identity, InsecureDeterministicRandomness
from secagg.conformance.weakened import weakened
from secagg.conformance.weaknesses import SIGNED_KEYS
from secagg_protocols.bonawitz import steps
from secagg_protocols.bonawitz.messages import KeyEntry, KeyList
from secagg_protocols.core.wire import encode

VICTIM, OTHERS = 1, (2, 3, 4, 5)


def surround(attack):
    """Make participants 2 … 5 the server's own machines; they hold zeros and it does not check them."""
    attack.server._authenticate = lambda envelope: None
    for who in OTHERS:
        sybil = attack.clients[who]
        sybil._verify_relayed = lambda *arguments: None
        if attack.scheme.active:
            sybil._identity = Identity.generate("the server's", attack.scheme.ciphersuite)
        attack.vectors[who] = np.zeros(attack.scheme.length, dtype=np.int64)
    return attack


def test_a_server_that_plays_everyone_else_is_refused_in_the_active_variant(make_attack):
    attack = surround(make_attack(Bonawitz(5, 20, adversary="active"))).run()
    assert attack.violation(VICTIM).culprits == {0}
    assert "signature does not verify" in str(attack.violation(VICTIM))
    assert VICTIM not in attack.sent["ShareKeys"]


def test_without_signed_keys_playing_everyone_else_gives_the_victims_vector(make_attack, adversary):
    # The semi-honest variant signs nothing; the active one with its check removed is the same.
    attack = surround(make_attack(weakened(Bonawitz, SIGNED_KEYS)(5, 20, adversary=adversary))).run()
    np.testing.assert_array_equal(attack.server.output.total, attack.vectors[VICTIM])


def substitute(scheme, swapped):
    """Script a key list in which one entry holds the server's keys, for everyone but its owner."""

    def script(attack, envelopes):
        own = steps.make_secrets(scheme, range(1, scheme.participants + 1), InsecureDeterministicRandomness(7))
        randomness = InsecureDeterministicRandomness(8)
        forged = steps.advertise(scheme, swapped, own, attack.server._address, attack.server.context, randomness)
        messages = {}
        for envelope in envelopes:
            entries = attack.clients[envelope.recipient].open(envelope).entries
            messages[envelope.recipient] = KeyList(
                tuple(
                    KeyEntry(swapped, encode(forged), entry.signature) if entry.participant == swapped else entry
                    for entry in entries
                )
            )
        return attack.tell("KeyList", messages)

    return {0: {"KeyList": script}}


def test_one_substituted_key_is_refused_by_everyone_in_the_active_variant(launch):
    scheme = Bonawitz(5, 20, adversary="active")
    attack = launch(scheme, substitute(scheme, 3))
    for who in range(1, 6):
        assert attack.violation(who).culprits == {0}
    assert not attack.sent["ShareKeys"]


def test_a_participant_whose_own_key_was_swapped_refuses_in_either_variant(launch, adversary):
    scheme = Bonawitz(5, 20, adversary=adversary)
    attack = launch(scheme, substitute(scheme, 3))
    assert "own keys" in str(attack.violation(3))


def test_keys_without_a_signature_or_with_one_too_many_are_refused(launch, adversary):
    def strip_or_add(attack, envelopes):
        entries = attack.clients[1].open(envelopes[0]).entries
        signature = b"" if attack.scheme.active else bytes(64)
        others = tuple(KeyEntry(entry.participant, entry.payload, signature) for entry in entries[1:])
        return attack.tell("KeyList", {1: KeyList((entries[0], *others))})

    attack = launch(Bonawitz(5, 20, adversary=adversary), {0: {"KeyList": strip_or_add}})
    assert attack.violation(1).culprits == {0}
    assert 1 not in attack.sent["ShareKeys"]


def test_another_participants_keys_relabelled_are_refused(launch, adversary):
    # The entry of 2 is shown twice, once as 3: the same keys, and in the active variant 2's signature.
    def relabel(attack, envelopes):
        first, second, _, *rest = attack.clients[1].open(envelopes[0]).entries
        fake = KeyEntry(3, second.payload, second.signature)
        return attack.tell("KeyList", {1: KeyList((first, second, fake, *rest))})

    attack = launch(Bonawitz(5, 20, adversary=adversary), {0: {"KeyList": relabel}})
    assert attack.violation(1).culprits == {0}


@pytest.mark.parametrize("stranger", [6, 60000])
def test_keys_of_someone_outside_the_round_are_refused(launch, adversary, stranger):
    def add(attack, envelopes):
        entries = attack.clients[1].open(envelopes[0]).entries
        extra = KeyEntry(stranger, entries[1].payload, entries[1].signature)
        return attack.tell("KeyList", {1: KeyList((*entries, extra))})

    attack = launch(Bonawitz(5, 20, adversary=adversary), {0: {"KeyList": add}})
    assert "not in this round" in str(attack.violation(1))
