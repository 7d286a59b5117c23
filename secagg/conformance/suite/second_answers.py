"""Second answer: a round is repeated with one participant fewer, and the two sums are subtracted."""

import dataclasses

import numpy as np

from secagg_protocols import SERVER, Policy, RepeatedContext, RoundContext

from ..attack import EVERY
from ..capability import RECOVERS_DROPOUTS, ROUND_SECRETS, UPLOADS_LATER, needs

EVERYONE = (1, 2, 3, 4, 5)
VICTIM = 2
FIRST = RoundContext("job", 7, b"\x07" * 32)
REPEATS = {
    "the same round again": FIRST,
    "the same model as the next round": dataclasses.replace(FIRST, round=8),
    "the same model in another job": dataclasses.replace(FIRST, job="another job"),
    "the same round with another model": dataclasses.replace(FIRST, context_digest=b"\x08" * 32),
    "an earlier round": dataclasses.replace(FIRST, round=6, context_digest=b"\x08" * 32),
}


def without(scheme):
    """Have the victim vanish before it uploads, where the round can do without."""
    return {VICTIM: scheme.upload_step} if scheme.quorum < scheme.participants else {}


def test_a_repeated_round_is_refused_by_everyone_who_answered(launch, scheme, ledgers):
    first = launch(scheme, context=FIRST, ledgers=ledgers())
    assert first.server.output.survivors == EVERYONE
    for again in REPEATS.values():
        second = launch(scheme, keys=first.keys, context=again, ledgers=ledgers(), absent=without(scheme))
        for who in set(EVERYONE) - without(scheme).keys():
            (refusal,) = second.by(who)
            assert isinstance(refusal, RepeatedContext)
        assert not second.sent[scheme.upload_step.value]
        assert second.failure.step == scheme.upload_step.value


@needs(RECOVERS_DROPOUTS, ROUND_SECRETS)
def test_without_ledgers_the_difference_of_the_two_sums_is_the_victims_vector(launch, scheme):
    first = launch(scheme, context=FIRST)
    second = launch(scheme, keys=first.keys, context=FIRST, absent=without(scheme))
    np.testing.assert_array_equal(first.total() - second.total(), first.vectors[VICTIM])


def test_a_round_that_failed_after_the_uploads_counts_as_answered(make_attack, scheme, ledgers):
    first = make_attack(scheme, context=FIRST, ledgers=ledgers()).run(until=scheme.upload_step.value)
    second = make_attack(scheme, keys=first.keys, context=FIRST, ledgers=ledgers(), absent=without(scheme)).run()
    assert not second.sent[scheme.upload_step.value]


@needs(UPLOADS_LATER)
def test_a_round_that_failed_before_the_uploads_may_be_repeated(make_attack, scheme, ledgers):
    before = scheme.steps[scheme.steps.index(scheme.upload_step) - 1]
    first = make_attack(scheme, context=FIRST, ledgers=ledgers()).run(until=before.value)
    second = make_attack(scheme, keys=first.keys, context=FIRST, ledgers=ledgers(), absent=without(scheme)).run()
    second.check_total_of(*(who for who in EVERYONE if who not in without(scheme)))


def test_the_next_round_with_another_model_is_answered(launch, scheme, ledgers):
    first = launch(scheme, context=FIRST, ledgers=ledgers())
    following = RoundContext("job", 8, b"\x08" * 32)
    launch(scheme, keys=first.keys, context=following, ledgers=ledgers()).check_total_of(*EVERYONE)


@needs(UPLOADS_LATER, RECOVERS_DROPOUTS)
def test_of_two_concurrent_sessions_for_the_same_model_one_is_answered(make_attack, scheme, ledgers):
    inner = make_attack(scheme, context=FIRST, ledgers=ledgers(), absent=without(scheme))

    def meanwhile(attack, envelopes):
        if attack.server.state is scheme.upload_step:
            inner.run()
        return envelopes

    outer = make_attack(scheme, {SERVER: {EVERY: meanwhile}}, keys=inner.keys, context=FIRST, ledgers=ledgers()).run()
    inner.check_total_of(1, 3, 4, 5)
    assert set(outer.sent[scheme.upload_step.value]) == {VICTIM}  # who vanished from the inner one had not answered yet
    assert outer.server.output is None


@needs(ROUND_SECRETS)
def test_a_deliberate_rerun_is_the_participants_own_policy(launch, scheme, ledgers):
    first = launch(scheme, context=FIRST, ledgers=ledgers())
    again = launch(scheme, keys=first.keys, context=FIRST, ledgers=ledgers(), policy=Policy(reruns=1))
    again.check_total_of(*EVERYONE)


def test_a_rerun_does_not_wipe_the_memory(launch, scheme, ledgers):
    launch(scheme, context=FIRST, ledgers=ledgers())
    earlier = RoundContext("job", 3, b"\x03" * 32)
    launch(scheme, context=earlier, ledgers=ledgers(), policy=Policy(reruns=1))
    again = launch(scheme, context=dataclasses.replace(FIRST, context_digest=b"\x08" * 32), ledgers=ledgers())
    assert not again.sent["MaskedInput"]
