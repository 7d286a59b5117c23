"""Any scheme against any policy: what is accepted offers what is asked for."""

from typing import Any

import numpy as np
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from secagg import simulate
from secagg_he import Bfv, Ckks, ThresholdCkks
from secagg_protocols import (
    Bonawitz,
    LightSecAgg,
    ParameterError,
    Plain,
    Policy,
    RoundFailed,
    Scheme,
    SecAggPlus,
)

STEADY = settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow])


@st.composite
def schemes(draw: st.DrawFn) -> Scheme:
    """Any scheme of three to eight participants."""
    participants = draw(st.integers(3, 8))
    kind: Any = draw(st.sampled_from([Plain, Bonawitz, SecAggPlus, LightSecAgg, ThresholdCkks, Bfv, Ckks]))
    parameters: dict[str, Any] = {}
    if kind in (Bonawitz, ThresholdCkks):
        parameters["adversary"] = draw(st.sampled_from(["semi-honest", "active"]))
    if kind in (Bonawitz, ThresholdCkks, LightSecAgg):
        parameters["colluders"] = draw(st.integers(0, 3))
    if kind is SecAggPlus:
        parameters = {"corrupt_rate": draw(st.sampled_from([0.0, 0.2, 0.4])), "dropout_rate": 0.0}
        parameters |= {"neighbours": participants - 1, "threshold": participants - 1}
    if kind is not Plain and kind is not SecAggPlus:
        parameters["threshold"] = draw(st.one_of(st.none(), st.integers(1, participants)))
    try:
        made: Scheme = kind(participants, 2, value_bits=4, **parameters)
    except ParameterError:
        assume(False)
    return made


POLICIES = st.builds(
    Policy,
    minimum_cohort=st.integers(2, 7),
    colluders=st.integers(0, 4),
    adversary=st.sampled_from(["semi-honest", "active"]),
    maximum_participants=st.integers(2, 9),
)


def powerless(scheme: Scheme) -> int:
    """Return how many participants may help the server and learn nothing of the others, by each scheme's own rule."""
    match scheme:
        case LightSecAgg():
            return max(1, scheme.colluders)
        case ThresholdCkks():
            assert scheme.packing is not None
            alone = scheme.quorum - scheme.packing
            return min(alone, 2 * scheme.quorum - scheme.participants - 1) if scheme.active else alone
        case SecAggPlus():
            return scheme.requirements.corrupt_count
        case Bonawitz():
            return 2 * scheme.quorum - scheme.participants - 1 if scheme.active else scheme.quorum - 1
    return 0


def accepted(scheme: Scheme, policy: Policy) -> bool:
    try:
        scheme.check_policy(policy)
    except ParameterError:
        return False
    return True


@STEADY
@given(scheme=schemes(), policy=POLICIES)
def test_a_scheme_that_a_policy_accepts_withstands_whom_it_names(scheme: Scheme, policy: Policy) -> None:
    if not accepted(scheme, policy):
        return
    assert scheme.active or policy.adversary == "semi-honest"
    assert scheme.participants <= policy.maximum_participants
    assert powerless(scheme) >= policy.colluders


@STEADY
@given(scheme=schemes(), policy=POLICIES)
def test_a_sum_that_comes_out_under_a_policy_has_the_company_it_asks_for(scheme: Scheme, policy: Policy) -> None:
    if not accepted(scheme, policy):
        return
    if isinstance(scheme, Plain):  # it keeps no floor, so nothing above the default passes
        assert policy.minimum_cohort <= Policy().minimum_cohort
        return
    company = policy.minimum_cohort + max(policy.colluders, scheme.colluders)
    inputs = [np.full(2, 3)] * scheme.participants
    alone = dict.fromkeys(range(company, scheme.participants + 1), scheme.upload_step)
    try:
        run = simulate(scheme, inputs, drop=alone, policy=policy)
    except RoundFailed:
        return
    assert len(run.survivors) >= company
