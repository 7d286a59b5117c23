"""Both shares of one participant: seed and mask key together take every mask off its input."""

import numpy as np
import pytest

from secagg import Bonawitz, StateError, Step, WireError
from secagg.conformance.weakened import weakened
from secagg.conformance.weaknesses import BOTH_LISTS, ONE_ANSWER
from secagg_protocols.core.machine import Terminal

EVERYONE = (1, 2, 3, 4, 5)
OTHERS = (2, 3, 4, 5)
SIXTH = {6: Step.ADVERTISE_KEYS}  # who is in the roster and not in the round


def alive_and_gone(attack, _):
    """List participant 1 as a survivor and as vanished."""
    signed = attack.signatures(EVERYONE) if attack.scheme.active else {}
    request = (EVERYONE, (1,), tuple(signed), tuple(signed.values()))
    return attack.tell("UnmaskRequest", dict.fromkeys(EVERYONE, request))


def test_a_participant_listed_alive_and_gone_is_refused(launch, adversary, noise):
    attack = launch(Bonawitz(5, 20, adversary=adversary, noise=noise), {0: {"UnmaskRequest": alive_and_gone}})
    for who in EVERYONE:
        assert attack.violation(who).culprits == {0}
        assert "both shares" in str(attack.violation(who))
    assert not attack.shares


def test_answering_both_lists_as_asked_would_expose_the_participant(launch, adversary):
    scheme = weakened(Bonawitz, BOTH_LISTS)(5, 20, adversary=adversary)
    attack = launch(scheme, {0: {"UnmaskRequest": alive_and_gone}})
    np.testing.assert_array_equal(attack.expose(1), attack.vectors[1])
    assert attack.expose(2) is None


@pytest.mark.parametrize("survivors", [(1, 1, 2, 3, 4, 5), (2, 1, 3, 4, 5)])
def test_duplicated_or_unordered_ids_are_no_message(make_attack, adversary, noise, survivors):
    def doubled(attack, honest):
        signed = attack.signatures(EVERYONE) if attack.scheme.active else {}
        request = (survivors, (), tuple(signed), tuple(signed.values()))
        return attack.tell("UnmaskRequest", dict.fromkeys(EVERYONE, request)) + honest

    attack = make_attack(Bonawitz(5, 20, adversary=adversary, noise=noise), {0: {"UnmaskRequest": doubled}}).run()
    for who in EVERYONE:
        (refusal,) = attack.by(who)
        assert isinstance(refusal, WireError)
    # Garbage left the machines as they were: the honest request after it was answered.
    attack.check_total_of(*EVERYONE)


def asked_twice(attack, honest):
    """Ask for every seed, then for participant 1's mask key."""
    second = attack.request(OTHERS, EVERYONE)
    if attack.scheme.active:  # no second signatures exist; show those over the first list
        signed = attack.signatures(EVERYONE)
        second = (OTHERS, (1,), tuple(signed), tuple(signed.values()))
    return honest + attack.tell("UnmaskRequest", dict.fromkeys(OTHERS, second))


def test_a_second_unmasking_request_is_refused(launch, adversary, noise):
    attack = launch(Bonawitz(5, 20, adversary=adversary, noise=noise), {0: {"UnmaskRequest": asked_twice}})
    for who in OTHERS:
        (refusal,) = attack.by(who)
        assert isinstance(refusal, StateError)
        assert attack.clients[who].state is Terminal.DONE
    assert attack.expose(1) is None
    attack.check_total_of(*EVERYONE)


def test_answering_a_second_request_would_expose_the_participant(launch):
    attack = launch(weakened(Bonawitz, ONE_ANSWER)(5, 20), {0: {"UnmaskRequest": asked_twice}})
    np.testing.assert_array_equal(attack.expose(1), attack.vectors[1])


def test_shares_are_forgotten_with_the_answer(launch, adversary, noise):
    attack = launch(Bonawitz(5, 20, adversary=adversary, noise=noise))
    for machine in attack.clients.values():
        assert machine._memory.shares == {}
        assert machine._memory.own is None


@pytest.mark.parametrize(
    ("survivors", "vanished"),
    [(OTHERS, (1,)), (EVERYONE, (6,)), ((1, 2, 3, 6), (4, 5)), ((1, 2, 3), (4,))],
    ids=["itself gone", "a stranger gone", "a stranger alive", "someone left out"],
)
def test_a_request_that_does_not_split_the_dealers_ends_the_machine(launch, adversary, noise, survivors, vanished):
    def ask(attack, honest):
        signed = attack.signatures(EVERYONE) if attack.scheme.active else {}
        request = (survivors, vanished, tuple(signed), tuple(signed.values()))
        return attack.tell("UnmaskRequest", {1: request}) + honest

    attack = launch(
        Bonawitz(6, 20, adversary=adversary, noise=noise, threshold=4), {0: {"UnmaskRequest": ask}}, absent=SIXTH
    )
    violation, after = attack.by(1)
    assert violation.culprits == {0}
    # Aborted for good: the honest request after it is refused too, and there is nothing left to open.
    assert isinstance(after, StateError)
    assert attack.clients[1].state is Terminal.ABORTED
    assert attack.clients[1].abort_reason == str(violation)
    assert attack.clients[1]._memory.shares == {}
    assert all(1 not in holders for holders in attack.shares.values())
    attack.check_total_of(*EVERYONE)
