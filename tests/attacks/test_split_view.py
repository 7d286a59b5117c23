"""Split view: some participants hear that the victim survived, the others that it vanished.

Each half opens the secret that it is asked for. A threshold with 2t > n + c leaves no two halves of t answers.
"""

import numpy as np
import pytest

from secagg import Bonawitz, ParameterError, Policy
from secagg.conformance.weakened import weakened
from secagg.conformance.weaknesses import THRESHOLD_RULE
from secagg_protocols.bonawitz.messages import ConsistencyCheck, SurvivorList
from secagg_protocols.dealing.steps import survivors_digest


def views(n, alive):
    """Return who hears which survivors: `alive` hear everyone, the rest all but participant 1."""
    everyone = tuple(range(1, n + 1))
    return {who: everyone if who in alive else everyone[1:] for who in everyone}


def split(n, alive):
    """Script the two views."""
    everyone, told = tuple(range(1, n + 1)), views(n, alive)
    return {
        "SurvivorList": lambda attack, _: attack.tell(
            "SurvivorList", {who: SurvivorList(view) for who, view in told.items()}
        ),
        "UnmaskRequest": lambda attack, _: attack.tell(
            "UnmaskRequest", {who: attack.request(view, everyone) for who, view in told.items()}
        ),
    }


def test_different_survivor_lists_open_nothing_in_the_active_variant(launch, noise):
    attack = launch(Bonawitz(6, 20, adversary="active", noise=noise), {0: split(6, {1, 2, 3})})
    for who in range(1, 7):
        assert attack.violation(who).culprits == {0}
        assert "3 survivors signed the survivor list; 4 are needed" in str(attack.violation(who))
    assert not attack.shares


def test_a_threshold_of_half_is_refused():
    with pytest.raises(ParameterError, match="at least 4"):
        Bonawitz(6, 20, adversary="active", threshold=3)


def test_with_a_threshold_of_half_different_survivor_lists_would_expose_the_victim(launch):
    attack = launch(
        weakened(Bonawitz, THRESHOLD_RULE)(6, 20, adversary="active", threshold=3), {0: split(6, {1, 2, 3})}
    )
    np.testing.assert_array_equal(attack.expose(1), attack.vectors[1])
    assert attack.expose(2) is None


def test_the_semi_honest_variant_does_not_resist_different_survivor_lists(launch):
    scheme = Bonawitz(6, 20, threshold=3)
    attack = launch(scheme, {0: split(6, {1, 2, 3})})
    np.testing.assert_array_equal(attack.expose(1), attack.vectors[1])
    assert "different survivor lists" in dict(scheme.leakage)["a server that departs from the protocol"]


def sign_both(attack, envelopes):
    """The colluder, participant 7, signs either view and gives the server its shares."""
    attack.hand_over(7)
    machine, other = attack.clients[7], tuple(range(1, 8))
    digest = survivors_digest(machine._memory.session, other)
    attack.second_signature = machine.seal("ConsistencyCheck", 0, ConsistencyCheck(digest)).signature
    return envelopes


def with_colluder(attack, _):
    """Ask both halves, each with the colluder's signature on its view."""
    everyone, requests = tuple(range(1, 8)), {}
    for who, view in views(7, {1, 2, 3}).items():
        request = attack.request(view, everyone)
        if view == everyone:
            request = (*map(tuple, (view, (), (*request.signers, 7))), (*request.signatures, attack.second_signature))
        requests[who] = request
    return attack.tell("UnmaskRequest", requests)


COLLUSION = {0: {**split(7, {1, 2, 3}), "UnmaskRequest": with_colluder}, 7: {"ConsistencyCheck": sign_both}}


def test_a_colluder_that_signs_both_lists_does_not_help_under_the_rule_that_counts_it(launch, noise):
    attack = launch(Bonawitz(7, 20, adversary="active", colluders=1, noise=noise), COLLUSION)
    for who in range(1, 7):
        assert "4 survivors signed the survivor list; 5 are needed" in str(attack.violation(who))
    assert attack.expose(1) is None


def test_a_colluder_that_was_not_counted_opens_the_victim(launch):
    attack = launch(Bonawitz(7, 20, adversary="active", colluders=0), COLLUSION)
    np.testing.assert_array_equal(attack.expose(1), attack.vectors[1])


def test_a_participant_that_wants_to_be_safe_from_a_colluder_refuses_a_scheme_that_does_not_count_it(
    make_attack, adversary
):
    scheme = Bonawitz(7, 20, adversary=adversary, threshold=4 if adversary == "active" else 1)
    with pytest.raises(ParameterError, match="raise the threshold"):
        make_attack(scheme, policy=Policy(colluders=1))


def test_a_participant_that_expects_an_active_server_refuses_the_semi_honest_variant(make_attack):
    with pytest.raises(ParameterError, match="active adversary"):
        make_attack(Bonawitz(7, 20), policy=Policy(adversary="active"))


def test_one_share_holder_alone_opens_everything_under_a_threshold_of_one(launch):
    # Why t ≥ c + 1: with t = 1 a single colluder's shares, and nobody's answer, give its peers away.
    def collude(attack, envelopes):
        attack.hand_over(5)
        return envelopes

    attack = launch(Bonawitz(5, 20, threshold=1), {5: {"MaskedInput": collude}})
    np.testing.assert_array_equal(attack.expose(1), attack.vectors[1])
    attack = launch(Bonawitz(5, 20, threshold=2, colluders=1), {5: {"MaskedInput": collude}})
    assert attack.expose(1) is None
