"""A server that asks twice, shows different things to different participants, or speaks for others."""

import msgspec
import numpy as np
import pytest

from secagg import Identity, Policy, ProtocolViolation, StateError, WireError
from secagg.conformance.weakened import weakened
from secagg.conformance.weaknesses import (
    COHORT_FLOOR,
    ONE_ANSWER,
    SIGNED_KEYS,
    SURVIVORS_SIGNED,
    THRESHOLD_RULE,
)
from secagg_he import ThresholdCkks
from secagg_he.threshold.messages import KeyList, SealedShares
from secagg_protocols import SERVER, InsecureDeterministicRandomness
from secagg_protocols.dealing import steps
from secagg_protocols.dealing.messages import (
    ConsistencyCheck,
    KeyEntry,
    SurvivorList,
    UnmaskRequest,
)

# --- different survivors to different participants


def split(scheme, alive):
    """Script two views: `alive` hear that everyone survived, the rest that participant 1 did not."""
    everyone = tuple(range(1, scheme.participants + 1))
    views = {who: everyone if who in alive else everyone[1:] for who in everyone}

    def lists(attack, server, envelopes):
        server._take_signature = lambda sender, message, envelope: True  # it takes what it gets
        return [server.seal("SurvivorList", who, SurvivorList(view)) for who, view in views.items()]

    def requests(attack, server, envelopes):
        made = []
        for who, view in views.items():
            signed = attack.signatures(view) if scheme.active else {}
            gone = tuple(set(everyone) - set(view))
            request = UnmaskRequest(view, gone, tuple(signed), tuple(signed.values()))
            made.append(server.seal("UnmaskRequest", who, request))
        return made

    return {SERVER: {"SurvivorList": lists, "UnmaskRequest": requests}}


def test_different_survivor_lists_open_nothing_in_the_active_variant(launch):
    scheme = ThresholdCkks(6, 20, adversary="active")
    attack = launch(scheme, split(scheme, {1, 2, 3}))
    for who in range(1, 7):
        (violation,) = attack.refused(who)
        assert violation.culprits == {SERVER}
        assert "3 survivors signed the survivor list; 4 are needed" in str(violation)
        assert not attack.sent["Opening", who]


def test_the_semi_honest_variant_does_not_resist_different_survivor_lists(launch):
    scheme = ThresholdCkks(6, 20, threshold=3)
    attack = launch(scheme, split(scheme, {1, 2, 3}))
    key = attack.opened(1, 2, 3) - attack.opened(4, 5, 6)
    np.testing.assert_array_equal(attack.read(1, key), attack.vectors[1])
    assert "different survivor lists" in dict(scheme.leakage)["a server that departs from the protocol"]


def test_with_a_threshold_of_half_the_active_variant_would_not_resist_either(launch):
    scheme = weakened(ThresholdCkks, THRESHOLD_RULE)(6, 20, threshold=3, adversary="active")
    attack = launch(scheme, split(scheme, {1, 2, 3}))
    key = attack.opened(1, 2, 3) - attack.opened(4, 5, 6)
    np.testing.assert_array_equal(attack.read(1, key), attack.vectors[1])


# --- an opening asked twice


def asked_twice(attack, server, envelopes):
    """Ask for the sum over everyone, then for that without participant 1."""
    others = (2, 3, 4, 5)
    signed = attack.signatures((1, *others)) if attack.scheme.active else {}
    second = UnmaskRequest(others, (1,), tuple(signed)[1:], tuple(signed.values())[1:])
    return envelopes + [server.seal("UnmaskRequest", who, second) for who in others]


def test_a_second_opening_is_refused(launch, adversary):
    attack = launch(ThresholdCkks(5, 20, adversary=adversary), {SERVER: {"UnmaskRequest": asked_twice}})
    for who in (2, 3, 4, 5):
        (refusal,) = attack.refused(who)
        assert isinstance(refusal, StateError)
        assert len(attack.sent["Opening", who]) == 1
    attack.is_right(1, 2, 3, 4, 5)


def test_answering_a_second_request_would_give_the_difference_away(launch):
    attack = launch(weakened(ThresholdCkks, ONE_ANSWER)(5, 20), {SERVER: {"UnmaskRequest": asked_twice}})
    key = attack.opened(2, 3, 4) - attack.opened(2, 3, 4, answer=1)
    np.testing.assert_array_equal(attack.read(1, key), attack.vectors[1])


# --- another session


@pytest.mark.parametrize("kind", ["KeyList", "SealedShares", "UnmaskRequest"])
def test_a_message_of_another_session_is_refused(launch, kind):
    scheme = ThresholdCkks(5, 20)
    old = launch(scheme)

    def replay(attack, server, envelopes):
        return [old.sent[kind, who][0] for who in range(1, 6)]

    attack = launch(scheme, {SERVER: {kind: replay}})
    for who in range(1, 6):
        (refusal,) = attack.refused(who)
        assert isinstance(refusal, ProtocolViolation if kind == "KeyList" else WireError)
        assert ("own keys" if kind == "KeyList" else "another round, scheme or session") in str(refusal)
    assert attack.failure is not None


def test_shares_sealed_in_another_session_are_no_shares(launch, adversary):
    scheme = ThresholdCkks(5, 20, adversary=adversary)
    old = launch(scheme)

    def old_shares(attack, server, envelopes):
        dealt = {who: old.clients[who].open(old.sent["SealedShares", who][0]) for who in range(1, 6)}
        return [
            server.seal("SealedShares", who, SealedShares(message.dealers, server._challenge, message.sealed))
            for who, message in dealt.items()
        ]

    attack = launch(scheme, {SERVER: {"SealedShares": old_shares}})
    for who in range(1, 6):
        assert "dealers with valid shares counts 1" in str(attack.refused(who)[0])
        assert not attack.sent["Encrypt", who]


def test_a_ciphertext_of_another_session_gives_no_sum(launch, adversary):
    scheme = ThresholdCkks(5, 20, adversary=adversary)
    old = launch(scheme)

    def old_ciphertext(attack, machine, envelopes):
        return [machine.seal("Encrypt", SERVER, old.server.open(old.sent["Encrypt", 2][0]))]

    attack = launch(scheme, {2: {"Encrypt": old_ciphertext}})
    assert "decrypt to noise" in str(attack.failure)
    assert attack.server.output is None


# --- swapped keys


def surrounded(make_attack, scheme):
    """Make participants 2 … 5 the server's own machines, which hold zeros and do not check it."""
    vectors = dict.fromkeys(range(2, 6), np.zeros(20, dtype=np.int64))
    attack = make_attack(scheme, vectors={1: np.arange(20), **vectors})
    attack.server._authenticate = lambda envelope: None
    for who in range(2, 6):
        sybil = attack.clients[who]
        sybil._verify_relayed = lambda *arguments: None
        if scheme.active:
            sybil._identity = Identity.generate("the server's", scheme.ciphersuite)
    return attack


def test_a_server_that_plays_everyone_else_is_refused_in_the_active_variant(make_attack):
    attack = surrounded(make_attack, ThresholdCkks(5, 20, adversary="active")).run()
    (violation,) = attack.refused(1)
    assert violation.culprits == {SERVER}
    assert "signature does not verify" in str(violation)
    assert not attack.sent["ShareKeys", 1]


def test_without_signed_keys_playing_everyone_else_gives_the_victims_vector(make_attack, adversary):
    attack = surrounded(make_attack, weakened(ThresholdCkks, SIGNED_KEYS)(5, 20, adversary=adversary)).run()
    np.testing.assert_array_equal(attack.server.output.total, attack.vectors[1])


def substituted(attack, server, envelopes):
    """Show everyone a key of the server's own for participant 3."""
    scheme, randomness = attack.scheme, InsecureDeterministicRandomness(8)
    forged = steps.advertise(scheme, steps.make_secrets(scheme, randomness), server.context, randomness)
    changed = []
    for envelope in envelopes:
        listed = attack.clients[envelope.recipient].open(envelope)
        entries = [
            KeyEntry(3, msgspec.msgpack.encode(forged), entry.signature) if entry.participant == 3 else entry
            for entry in listed.entries
        ]
        changed.append(server.seal("KeyList", envelope.recipient, KeyList(tuple(entries), listed.commitment)))
    return changed


def test_one_swapped_key_is_refused_by_everyone_in_the_active_variant_and_by_its_owner_in_both(launch, adversary):
    attack = launch(ThresholdCkks(5, 20, adversary=adversary), {SERVER: {"KeyList": substituted}})
    assert "own keys" in str(attack.refused(3)[0])
    if attack.scheme.active:
        for who in range(1, 6):
            assert attack.refused(who)[0].culprits == {SERVER}
            assert not attack.sent["ShareKeys", who]


# --- small cohorts

WHERE = {
    "AdvertiseKeys": "key list counts 3",
    "ShareKeys": "list of dealers with valid shares counts 3",
    "Encrypt": "list of survivors with valid shares counts 3",
}


@pytest.mark.parametrize("step", WHERE)
def test_a_cohort_below_a_participants_floor_opens_nothing(launch, adversary, step):
    scheme = ThresholdCkks(5, 20, adversary=adversary, threshold=3)
    attack = launch(scheme, drop={4: step, 5: step}, policy=Policy(minimum_cohort=4))
    for who in (1, 2, 3):
        assert WHERE[step] in str(attack.refused(who)[0])
        assert not attack.sent["Opening", who]
    assert attack.server.output is None


@pytest.mark.parametrize("step", WHERE)
def test_without_the_floor_the_small_sum_comes_out(launch, adversary, step):
    scheme = weakened(ThresholdCkks, COHORT_FLOOR)(5, 20, adversary=adversary, threshold=3)
    launch(scheme, drop={4: step, 5: step}, policy=Policy(minimum_cohort=4)).is_right(1, 2, 3)


# --- consistency signatures


def too_few(attack, signed):
    """Show t − 1 signatures."""
    return dict(list(signed.items())[:2])


def none_at_all(attack, signed):
    """Show none."""
    return {}


def foreign(attack, signed):
    """Make up the number with a signature of one who did not survive."""
    digest = steps.survivors_digest(attack.server._session, (1, 2, 3, 4))
    made = attack.clients[5].seal("ConsistencyCheck", SERVER, ConsistencyCheck(digest))
    return {1: signed[1], 2: signed[2], 5: made.signature}


def one_for_all(attack, signed):
    """Show participant 1's signature in everyone's name."""
    return dict.fromkeys((1, 2, 3), signed[1])


def over_others(attack, signed):
    """Make up the number with a good signature over other survivors."""
    digest = steps.survivors_digest(attack.server._session, (1, 2, 3, 4, 5))
    other = attack.clients[3].seal("ConsistencyCheck", SERVER, ConsistencyCheck(digest)).signature
    return {1: signed[1], 2: signed[2], 3: other}


CHOICES = [too_few, none_at_all, foreign, one_for_all, over_others]


def showing(choose):
    """Script requests with the signatures that `choose` makes of the real ones."""

    def ask(attack, server, envelopes):
        shown = choose(attack, attack.signatures((1, 2, 3, 4)))
        request = UnmaskRequest((1, 2, 3, 4), (5,), tuple(shown), tuple(shown.values()))
        return [server.seal("UnmaskRequest", who, request) for who in (1, 2, 3, 4)]

    return {SERVER: {"UnmaskRequest": ask}}


@pytest.mark.parametrize("choose", CHOICES)
def test_an_opening_without_enough_consistency_signatures_is_refused(launch, choose):
    attack = launch(ThresholdCkks(5, 20, adversary="active"), showing(choose), drop={5: "Encrypt"})
    for who in (1, 2, 3, 4):
        (violation,) = attack.refused(who)
        assert violation.culprits == {SERVER}
        assert not attack.sent["Opening", who]


@pytest.mark.parametrize("choose", CHOICES)
def test_without_the_check_it_would_be_answered(launch, choose):
    attack = launch(
        weakened(ThresholdCkks, SURVIVORS_SIGNED)(5, 20, adversary="active"), showing(choose), drop={5: "Encrypt"}
    )
    attack.is_right(1, 2, 3, 4)
