"""Anyone may vanish at any step: the sum is over exactly the survivors, or there is none."""

import contextlib
from itertools import product

import pytest

from secagg import simulate
from secagg_protocols import ParameterError, Policy, RoundFailed, SecAggError

from ..capability import ANSWERS_AFTERWARDS, RECOVERS_DROPOUTS, needs

STAYS = None


def expected(scheme, fate, contributed):
    """Return (survivors, None), or (None, (step, have, need)) where too few are left: by who vanishes when."""
    steps = scheme.steps
    survivors = None
    for position, step in enumerate(steps):
        have = [p for p, gone in fate.items() if gone is STAYS or steps.index(gone) > position]
        if len(have) < scheme.needed(step):
            return None, (step.value, len(have), scheme.needed(step))
        if step is contributed:
            survivors = tuple(have)
    return survivors, None


def check(make_round, scheme, fate, contributed):
    drop = {participant: step for participant, step in fate.items() if step is not STAYS}
    running = make_round(scheme, drop=drop)
    survivors, failure = expected(scheme, fate, contributed)
    if failure is None:
        running.finish().check()
        assert running.server.output.survivors == survivors
        assert {p: gone.step for p, gone in running.server.dropped.items()} == drop
        return
    with pytest.raises(RoundFailed) as caught:
        running.finish()
    error = caught.value
    assert (error.step, error.have, error.need) == failure
    assert running.server.output is None
    assert str(running.server.state) == "Aborted"
    assert running.server.failure is error
    assert not running.server.ready


def test_every_combination_of_dropouts_at_every_step(case, make_round):
    scheme = case.make(3, 5)
    contributed = make_round(scheme).finish().contributed
    for steps in product([*scheme.steps, STAYS], repeat=3):
        check(make_round, scheme, dict(zip((1, 2, 3), steps, strict=True)), contributed)


@pytest.mark.parametrize("vanishing", [1, 2, 3])
def test_several_of_seven_vanish_together_at_each_step(case, make_round, vanishing):
    scheme = case.make(7, 5)
    contributed = make_round(scheme).finish().contributed
    for step in scheme.steps:
        fate = {p: step if p in (2, 5, 7)[:vanishing] else STAYS for p in range(1, 8)}
        check(make_round, scheme, fate, contributed)


def test_one_vanishes_at_each_step_in_one_round(case, make_round):
    scheme = case.make(2 * len(case.make(3, 1).steps) + 3, 5)
    contributed = make_round(scheme).finish().contributed
    fate = dict.fromkeys(range(1, scheme.participants + 1), STAYS) | {2 * i + 2: s for i, s in enumerate(scheme.steps)}
    check(make_round, scheme, fate, contributed)


def test_after_a_failure_nothing_comes_out_any_more(case, make_round, refused):
    scheme = case.make(3, 5)
    running = make_round(scheme)
    running.open()
    uplink = list(running.drain())
    with pytest.raises(RoundFailed):
        running.server.advance()
    before = running.observable()
    for data in uplink:
        refused(running.offer, data)
    refused(running.server.advance)
    refused(running.server.start)
    assert running.observable() == before
    assert running.server.output is None


def test_ready_says_whether_the_step_can_be_closed(case, make_round):
    scheme = case.make(3, 5)
    running = make_round(scheme)
    for moment in running.moments():
        if moment.server.output is None:
            answered = 3 - len(moment.server.waiting_for)
            assert moment.server.ready == (answered >= scheme.needed(moment.server.step))
    assert not running.server.ready


@needs(RECOVERS_DROPOUTS)
def test_a_message_after_the_step_is_closed_is_late_and_changes_nothing(case, make_round, refused):
    scheme = case.make(5, 5)
    running = make_round(scheme)
    running.open()
    while running.server.output is None:
        # Participant 3's answer is held back until the step is closed (after the first such step it is out).
        held, running.uplink[3] = running.uplink[3], []
        running.take()
        running.advance()
        before = running.observable()
        for data in held:
            error = refused(running.offer, data)
            assert type(error).__name__ == "LateMessage"
        assert running.observable() == before
        if running.server.output is None:
            running.hear()
    running.check()


@needs(RECOVERS_DROPOUTS, ANSWERS_AFTERWARDS)
def test_a_participant_that_contributed_and_then_vanished_is_in_the_sum(case):
    scheme = case.make(5, 3)
    run = simulate(scheme, [[participant] * 3 for participant in range(1, 6)], drop={4: scheme.steps[-1]})
    assert run.survivors == (1, 2, 3, 4, 5)
    assert 4 in run.dropped
    assert run.total.tolist() == [15, 15, 15]


@needs(ANSWERS_AFTERWARDS)
def test_a_participant_s_own_floor_ends_the_round_for_it_even_when_the_threshold_is_met(case, make_round):
    scheme = case.make(5, 5)
    contributed = make_round(scheme).finish().contributed
    running = make_round(scheme, policy=Policy(minimum_cohort=5 - scheme.colluders), drop={2: contributed})
    with pytest.raises(Exception, match=r"5 or more|take|round failed"):
        running.finish()
    assert running.server.output is None


def test_one_that_is_left_alone_hears_nothing_that_breaks_it(case):
    """With the threshold as low as it goes, one participant alone must end in an error of ours, never in another."""
    try:
        scheme = case.make(2, 1, threshold=1, value_bits=1)
    except (TypeError, ParameterError):
        pytest.skip("two are needed whatever is asked for")
    for step in scheme.steps:
        with contextlib.suppress(SecAggError):
            simulate(scheme, [[1], [1]], drop={2: step}, policy=Policy(minimum_cohort=2))
