"""Consistency signatures: the server asks for unmasking without t members of the survivors having signed them."""

import numpy as np
import pytest

from secagg import Bonawitz, Identity, Step, WireError
from secagg.conformance.weak_servers import SIGNED_SURVIVORS
from secagg.conformance.weakened import weakened
from secagg.conformance.weaknesses import SURVIVORS_SIGNED
from secagg_protocols.bonawitz.messages import ConsistencyCheck
from secagg_protocols.dealing import steps

SURVIVORS, VANISHED = (1, 2, 3, 4), (5,)
ABSENT = {5: Step.MASKED_INPUT}


def too_few(attack, signed):
    """Show t − 1 signatures."""
    return dict(list(signed.items())[:2])


def none_at_all(attack, signed):
    """Show none."""
    return {}


def foreign(attack, signed):
    """Make up the number with a signature of one who did not survive."""
    digest = steps.survivors_digest(attack.server._session, SURVIVORS)
    made = attack.clients[5].seal("ConsistencyCheck", 0, ConsistencyCheck(digest))
    return {1: signed[1], 2: signed[2], 5: made.signature}


def stranger(attack, signed):
    """Make up the number with a signature by a key of the server's own, in participant 3's name."""
    machine = attack.clients[3]
    own, machine._identity = machine._identity, Identity.generate("stranger")
    digest = steps.survivors_digest(attack.server._session, SURVIVORS)
    forged = machine.seal("ConsistencyCheck", 0, ConsistencyCheck(digest)).signature
    machine._identity = own
    return {1: signed[1], 2: signed[2], 3: forged}


def one_for_all(attack, signed):
    """Show participant 1's signature in everyone's name."""
    return dict.fromkeys((1, 2, 3), signed[1])


def over_others(attack, signed):
    """Make up the number with a good signature over other survivors."""
    digest = steps.survivors_digest(attack.server._session, (*SURVIVORS, 5))
    other = attack.clients[3].seal("ConsistencyCheck", 0, ConsistencyCheck(digest)).signature
    return {1: signed[1], 2: signed[2], 3: other}


def too_long(attack, signed):
    """Make up the number with a signature that is longer than any of the suite's."""
    return {1: signed[1], 2: signed[2], 3: signed[3] + b"\0"}


def empty(attack, signed):
    """Make up the number with no signature, as it travels where nothing is signed."""
    return {1: signed[1], 2: signed[2], 3: b""}


def script(choose):
    """Script a request with the signatures that `choose` makes of the real ones."""

    def ask(attack, _):
        chosen = choose(attack, attack.signatures(SURVIVORS))
        request = (SURVIVORS, VANISHED, tuple(chosen), tuple(chosen.values()))
        return attack.tell("UnmaskRequest", dict.fromkeys(SURVIVORS, request))

    return {0: {"UnmaskRequest": ask}}


CHOICES = [too_few, none_at_all, foreign, stranger, one_for_all, over_others, too_long, empty]


@pytest.mark.parametrize("choose", CHOICES)
def test_unmasking_without_enough_consistency_signatures_is_refused(launch, choose):
    attack = launch(Bonawitz(5, 20, adversary="active"), script(choose), absent=ABSENT)
    for who in SURVIVORS:
        assert attack.violation(who).culprits == {0}
    assert not attack.shares
    assert attack.server.output is None


@pytest.mark.parametrize("choose", CHOICES)
def test_without_the_check_it_would_be_answered(launch, choose):
    attack = launch(weakened(Bonawitz, SURVIVORS_SIGNED)(5, 20, adversary="active"), script(choose), absent=ABSENT)
    np.testing.assert_array_equal(attack.server.output.total, attack.total_of(*SURVIVORS))


@pytest.mark.parametrize("signers", [(1, 1, 2), (1, 1, 1), (2, 1, 3)])
def test_signers_listed_twice_or_out_of_order_are_no_message(launch, signers):
    def ask(attack, honest):
        signed = attack.signatures(SURVIVORS)
        request = (SURVIVORS, VANISHED, signers, tuple(signed[signer] for signer in signers))
        return attack.tell("UnmaskRequest", dict.fromkeys(SURVIVORS, request))

    attack = launch(Bonawitz(5, 20, adversary="active"), {0: {"UnmaskRequest": ask}}, absent=ABSENT)
    for who in SURVIVORS:
        (refusal,) = attack.by(who)
        assert isinstance(refusal, WireError)
    assert not attack.shares


def test_signatures_beyond_the_listed_signers_are_no_message(launch):
    def ask(attack, honest):
        signed = attack.signatures(SURVIVORS)
        request = (SURVIVORS, VANISHED, (1, 2), tuple(signed.values()))
        return attack.tell("UnmaskRequest", dict.fromkeys(SURVIVORS, request))

    attack = launch(Bonawitz(5, 20, adversary="active"), {0: {"UnmaskRequest": ask}}, absent=ABSENT)
    assert all(isinstance(attack.by(who)[0], WireError) for who in SURVIVORS)
    assert not attack.shares


def test_other_survivors_than_those_signed_are_refused_however_many_signed(launch):
    # Four sign everyone's list; the server shows participant 1 their signatures over it and asks about another.
    def ask(attack, _):
        signed = attack.signatures((1, 2, 3, 4, 5))
        request = ((1, 2, 3, 4), (5,), tuple(signed)[:4], tuple(signed.values())[:4])
        return attack.tell("UnmaskRequest", {1: request})

    attack = launch(Bonawitz(5, 20, adversary="active"), {0: {"UnmaskRequest": ask}})
    assert "not those that this participant signed" in str(attack.violation(1))


def test_a_participant_signs_one_list_only(launch):
    def twice(attack, honest):
        return honest + attack.tell("SurvivorList", dict.fromkeys(SURVIVORS, (SURVIVORS,)))

    attack = launch(Bonawitz(5, 20, adversary="active"), {0: {"SurvivorList": twice}})
    for who in SURVIVORS:
        (refusal,) = attack.by(who)
        assert "not expected" in str(refusal)
    np.testing.assert_array_equal(attack.server.output.total, attack.total_of(1, 2, 3, 4, 5))


def test_a_participant_that_signs_other_survivors_is_dropped_and_the_round_goes_on(launch):
    # Relayed, its signature would make every other participant refuse the server's request.
    def sign_another(attack, envelopes):
        return [attack.clients[1].seal("ConsistencyCheck", 0, ConsistencyCheck(b"\x05" * 32))]

    attack = launch(Bonawitz(5, 20, adversary="active"), {1: {"ConsistencyCheck": sign_another}})
    assert set(attack.server.dropped) == {1}
    np.testing.assert_array_equal(attack.server.output.total, attack.total_of(1, 2, 3, 4, 5))


def test_if_the_server_relayed_whatever_is_signed_one_participant_would_end_the_round(launch):
    def sign_another(attack, envelopes):
        return [attack.clients[1].seal("ConsistencyCheck", 0, ConsistencyCheck(b"\x05" * 32))]

    scheme = weakened(Bonawitz, SIGNED_SURVIVORS)(5, 20, adversary="active")
    attack = launch(scheme, {1: {"ConsistencyCheck": sign_another}})
    assert attack.failure is not None


@pytest.mark.parametrize("survivors", [(2, 3, 4, 5), (1, 2, 3, 4, 5)], ids=["without it", "with one who dealt nothing"])
def test_a_participant_signs_no_list_without_itself_or_with_strangers(launch, survivors):
    scheme = Bonawitz(6, 20, adversary="active", threshold=4)
    script = {"SurvivorList": lambda attack, _: attack.tell("SurvivorList", {1: (survivors,)})}
    attack = launch(scheme, {0: script}, absent={5: Step.SHARE_KEYS})
    assert attack.violation(1).culprits == {0}
    assert not attack.sent["ConsistencyCheck"]
