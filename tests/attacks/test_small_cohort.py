"""Small cohort: the server lets a participant's sum shrink until little company is left in it."""

import numpy as np
import pytest

from secagg import Bonawitz, ParameterError, Policy, Step, simulate
from secagg.conformance.weakened import weakened
from secagg.conformance.weaknesses import COHORT_FLOOR
from secagg_protocols.bonawitz.messages import SealedShares

WHERE = {
    Step.ADVERTISE_KEYS: "key list counts 3",
    Step.SHARE_KEYS: "list of dealers with valid shares counts 3",
    Step.MASKED_INPUT: "list of survivors with valid shares counts 3",
}


def without_two(step):
    """Let participants 4 and 5 vanish before a step: the server goes on with three."""
    return {4: step, 5: step}


@pytest.mark.parametrize("step", WHERE)
def test_a_cohort_below_the_participants_floor_is_refused(launch, adversary, step):
    scheme = Bonawitz(5, 20, adversary=adversary, threshold=3)
    attack = launch(scheme, policy=Policy(minimum_cohort=4), absent=without_two(step))
    for who in (1, 2, 3):
        assert WHERE[step] in str(attack.violation(who))
        assert not attack.violation(who).culprits  # an honest server does not know this floor
    assert attack.failure is not None
    assert not attack.shares
    assert bool(attack.sent["MaskedInput"]) == (step is Step.MASKED_INPUT)


@pytest.mark.parametrize("step", WHERE)
def test_without_the_floor_the_small_sum_comes_out(launch, adversary, step):
    scheme = weakened(Bonawitz, COHORT_FLOOR)(5, 20, adversary=adversary, threshold=3)
    attack = launch(scheme, policy=Policy(minimum_cohort=4), absent=without_two(step))
    assert attack.server.output.survivors == (1, 2, 3)
    np.testing.assert_array_equal(attack.server.output.total, attack.total_of(1, 2, 3))


def test_a_sum_of_two_gives_one_participant_to_the_other(launch):
    # What the floor is for: participant 2 takes its own vector off.
    scheme = Bonawitz(4, 20, threshold=2)
    two = {3: Step.MASKED_INPUT, 4: Step.MASKED_INPUT}
    attack = launch(scheme, policy=Policy(minimum_cohort=2), absent=two)
    np.testing.assert_array_equal(attack.server.output.total - attack.vectors[2], attack.vectors[1])
    assert launch(scheme, policy=Policy(minimum_cohort=3), absent=two).server.output is None


def test_colluders_are_not_company(launch, adversary):
    # Four honest ones beside two colluders make six; five survivors are enough for the threshold, not for this floor.
    scheme = Bonawitz(7, 20, adversary=adversary, colluders=2, threshold=5)
    absent = {6: Step.MASKED_INPUT, 7: Step.MASKED_INPUT}
    attack = launch(scheme, policy=Policy(minimum_cohort=4, colluders=2), absent=absent)
    for who in range(1, 6):
        assert "takes part with 6 or more" in str(attack.violation(who))
    assert not attack.shares
    attack = launch(scheme, policy=Policy(minimum_cohort=3, colluders=2), absent=absent)
    np.testing.assert_array_equal(attack.server.output.total, attack.total_of(1, 2, 3, 4, 5))


def test_a_floor_above_the_roster_is_refused_at_construction(make_attack, adversary):
    with pytest.raises(ParameterError, match="asks for 6 participants"):
        make_attack(Bonawitz(5, 20, adversary=adversary, threshold=5), policy=Policy(minimum_cohort=6))


def test_a_cohort_of_one_cannot_be_asked_for():
    with pytest.raises(ParameterError, match="a sum of one"):
        Policy(minimum_cohort=1)


def test_a_cohort_at_the_floor_takes_part(adversary):
    scheme = Bonawitz(5, 20, adversary=adversary, threshold=3)
    inputs = [np.full(20, who) for who in range(1, 6)]
    run = simulate(scheme, inputs, policy=Policy(minimum_cohort=4), drop={5: "MaskedInput"})
    np.testing.assert_array_equal(run.total, 1 + 2 + 3 + 4)


def test_survivors_whose_shares_the_participant_does_not_hold_are_no_company(launch, adversary):
    # Dealer 5 is not seen to be here by participant 1, whose floor is four: with 1, 2, 3 and 5 there are three.
    def spoil(attack, envelopes):
        first, size = attack.clients[1].open(envelopes[0]), attack.scheme.sealed_bytes
        sealed = memoryview(bytes(first.sealed[: 3 * size]) + bytes(size))
        return attack.tell("SealedShares", {1: SealedShares(first.dealers, sealed)}) + envelopes[1:]

    scheme = Bonawitz(5, 20, adversary=adversary, threshold=3)
    absent = {4: Step.MASKED_INPUT}
    attack = launch(scheme, {0: {"SealedShares": spoil}}, policy=Policy(minimum_cohort=4), absent=absent)
    assert 1 in attack.sent["MaskedInput"]
    assert "list of survivors with valid shares counts 3" in str(attack.violation(1))
    assert not attack.by(2)


@pytest.mark.parametrize("excess", [-1, 1, 66])
def test_sealed_shares_that_do_not_fit_their_dealers_are_refused(launch, adversary, excess):
    def misfit(attack, envelopes):
        first = attack.clients[1].open(envelopes[0])
        sealed = (bytes(first.sealed) + bytes(66))[: len(first.sealed) + excess]
        return attack.tell("SealedShares", {1: SealedShares(first.dealers, memoryview(sealed))})

    attack = launch(Bonawitz(5, 20, adversary=adversary, threshold=3), {0: {"SealedShares": misfit}})
    assert "sealed bytes for 4 dealers" in str(attack.violation(1))
