"""Small cohort: the server lets a participant's sum shrink until little company is left in it."""

import pytest

from secagg_protocols import ParameterError, Policy

from ..capability import ANSWERS_AFTERWARDS, PROTECTS, RECOVERS_DROPOUTS, needs

FLOOR = Policy(minimum_cohort=4)


@needs(RECOVERS_DROPOUTS, ANSWERS_AFTERWARDS)
def test_no_sum_of_fewer_than_a_participants_floor_comes_out(launch, scheme, step):
    """Two of five vanish, and the server goes on with three wherever the threshold lets it."""
    attack = launch(scheme, policy=FLOOR, absent={4: step, 5: step})
    uploaded = scheme.steps.index(step) > scheme.steps.index(scheme.upload_step)
    assert attack.server.output is None or (uploaded and attack.server.output.survivors == (1, 2, 3, 4, 5))
    for who in (1, 2, 3):
        for refusal in attack.by(who):
            assert not getattr(refusal, "culprits", ())  # an honest server does not know this floor


@needs(PROTECTS)
def test_a_floor_above_the_roster_is_refused_at_construction(make_attack, scheme):
    with pytest.raises(ParameterError, match=r"asks for \d+ participants|minimum_cohort=6"):
        make_attack(scheme, policy=Policy(minimum_cohort=6))


@needs(PROTECTS)
def test_one_safe_from_more_colluders_than_the_scheme_withstands_is_refused(make_attack, scheme):
    """Colluders are no company, and a threshold that does not count them gives their peers away."""
    with pytest.raises(ParameterError):
        make_attack(scheme, policy=Policy(minimum_cohort=2, colluders=4))
