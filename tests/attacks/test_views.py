"""What the bench shows of a round: everything that passed, what a coalition knows, and the same over `secagg.round`."""

import msgspec
import numpy as np
import pytest

from secagg import SERVER, Bonawitz, ParameterError, Plain, Step
from secagg.conformance import attack, hostile
from secagg.conformance.rounds import BonawitzRoundAttack, Refusal, RoundAttack
from secagg.conformance.weakened import weakened, without
from secagg.conformance.weaknesses import BOTH_LISTS, COHORT_FLOOR, MODEL_CONTEXT
from secagg_protocols import Policy, RoundContext, StateError

EVERYONE = (1, 2, 3, 4, 5)
BENCHES = pytest.mark.parametrize("bench", [hostile.Attack, BonawitzRoundAttack], ids=["machines", "round"])


def alive_and_gone(attack, _):
    """List participant 1 as a survivor and as dropped out."""
    signed = attack.signatures(EVERYONE) if attack.scheme.active else {}
    request = (EVERYONE, (1,), tuple(signed), tuple(signed.values()))
    return attack.tell("UnmaskRequest", dict.fromkeys(EVERYONE, request))


BOTH = {SERVER: {"UnmaskRequest": alive_and_gone}}


@BENCHES
def test_everything_that_passes_is_in_the_transcript_in_order(bench, adversary):
    scheme = Bonawitz(5, 20, adversary=adversary)
    seen = bench(scheme, {3: {"MaskedInput": lambda attack, sent: sent + sent}}).run()
    kinds = list(dict.fromkeys(passed.envelope.kind for passed in seen.transcript))
    asked = ["KeyList", "SealedShares", *(["SurvivorList"] if scheme.active else []), "UnmaskRequest"]
    assert [kind for kind in kinds if kind in asked] == asked
    assert [kind for kind in kinds if kind not in asked] == [step.value for step in scheme.steps]
    (second,) = [passed for passed in seen.transcript if passed.refused is not None]
    assert (second.sender, second.recipient, second.envelope.kind) == (3, SERVER, "MaskedInput")
    assert isinstance(second.refused, StateError)


@BENCHES
def test_a_colluder_s_view_holds_its_keys_and_shares_and_nobody_else_s(bench, adversary):
    seen = bench(Bonawitz(5, 20, adversary=adversary), colluders=(3,)).run()
    both = seen.view(SERVER, 3)
    assert {passed.envelope.kind for passed in both.transcript} >= {"AdvertiseKeys", "MaskedInput", "Unmasking"}
    assert both.memories[3][0].own is not None
    assert any(memory.shares.keys() == set(EVERYONE) for memory in both.memories[3])
    assert both.vectors.keys() == {3}
    np.testing.assert_array_equal(both.total, seen.total_of(*EVERYONE))
    alone = seen.view(3)
    assert all(3 in (passed.sender, passed.recipient) for passed in alone.transcript)
    assert [envelope.kind for envelope in alone.sent(3)] == [step.value for step in seen.scheme.steps]
    assert alone.total is None
    assert len(seen.view(SERVER).received(SERVER, "MaskedInput")) == 5


def test_colluders_as_many_as_the_threshold_expose_their_peers_and_one_fewer_does_not(launch):
    gone = dict.fromkeys(EVERYONE, Step.UNMASKING)
    enough, too_few = (launch(Bonawitz(5, 20, threshold=3), colluders=who, absent=gone) for who in ((3, 4, 5), (4, 5)))
    np.testing.assert_array_equal(enough.expose(1), enough.vectors[1])
    assert too_few.expose(1) is None


@BENCHES
def test_one_participant_that_skips_a_check_helps_only_as_far_as_its_own_share_goes(bench, adversary):
    scheme = Bonawitz(5, 20, adversary=adversary)
    weak = without(scheme, BOTH_LISTS)
    one = bench(scheme, BOTH, schemes={4: weak}).run()
    assert {who for who in EVERYONE if one.by(who)} == {1, 2, 3, 5}
    assert one.expose(1) is None
    everybody = bench(weak, BOTH).run()
    np.testing.assert_array_equal(everybody.expose(1), everybody.vectors[1])


def test_over_a_round_a_site_with_another_model_is_refused_unless_nobody_checks():
    other = {4: RoundContext("job", 1, b"\xee" * 32)}
    script = {SERVER: {"KeyList": lambda attack, _: attack.everyones_keys()}}
    scheme = Bonawitz(5, 20, threshold=3)
    refused = BonawitzRoundAttack(scheme, script, contexts=other).run()
    assert all(isinstance(refused.by(who)[0], Refusal) for who in EVERYONE)
    assert "different models" in str(refused.by(1)[0])
    assert not refused.sent["ShareKeys"]
    careless = BonawitzRoundAttack(without(scheme, MODEL_CONTEXT), script, contexts=other).run()
    assert set(careless.sent["ShareKeys"]) == set(EVERYONE)


def test_over_a_round_a_site_takes_the_proposal_that_it_is_shown(adversary):
    scheme = Bonawitz(5, 20, adversary=adversary, threshold=3)
    honest = RoundAttack(scheme)
    smaller = msgspec.structs.replace(honest.proposals[2], participants=2)
    seen = RoundAttack(scheme, proposals={2: smaller}).run()
    assert "asks for 3 participants in a sum" in str(seen.by(2)[0])
    seen.check_total_of(1, 3, 4, 5)


def test_a_check_that_a_scheme_does_not_have_is_refused_by_name():
    with pytest.raises(ParameterError, match="'cohort floor' is one of schemes that are Dealing, and Plain is none"):
        weakened(Plain, COHORT_FLOOR)
    assert weakened(Bonawitz, COHORT_FLOOR) is weakened(Bonawitz, COHORT_FLOOR)
    assert weakened(Bonawitz, COHORT_FLOOR)(5, 20).id == Bonawitz(5, 20).id


def test_an_honest_round_is_the_same_with_a_check_left_out(adversary):
    scheme = without(Bonawitz(5, 20, adversary=adversary), COHORT_FLOOR, MODEL_CONTEXT)
    attack.Attack(scheme, policy=Policy(minimum_cohort=4)).run().check_total_of(*EVERYONE)
