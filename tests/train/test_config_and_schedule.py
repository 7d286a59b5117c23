"""Settings are checked when made; faults are drawn from the seed and hit every step."""

from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from secagg.schemes import SCHEMES, WITHSTAND_ACTIVE
from secagg.train import Aggregation, Data, Deployment, Run, TrainConfig, Training
from secagg.train.schedule import RoundPlan, plan_rounds
from secagg_protocols.errors import ParameterError

STEPS = ("AdvertiseKeys", "ShareKeys", "MaskedInput", "ConsistencyCheck", "Unmasking")


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"rounds": 0}, "rounds = 0 must be at least 1"),
        ({"rounds": 60_000}, "rounds = 60000 of local_steps = 2 are above 100000 steps in all"),
        ({"institutions": 2}, "institutions = 2 must be at least 3"),
        ({"epsilon": 0.0}, "epsilon = 0.0 must be"),
        ({"epsilon": float("nan")}, "epsilon = nan"),
        ({"epsilon": 300.0}, "epsilon = 300 protects nobody"),
        ({"delta": 1.0}, "delta = 1.0 must be strictly between"),
        ({"delta": 1e-15}, "delta = 1e-15 is below 1e-12, the least at which ε is computed; use --delta 1e-12"),
        ({"delta": 1e-5, "epsilon": None}, "delta = 1e-05 has no use without differential privacy"),
        ({"sampling_rate": 1.5}, "sampling_rate = 1.5"),
        ({"model": "forest"}, "model = 'forest' is not known; choose logistic or mlp"),
        ({"scheme": "homomorphic"}, f"choose {' or '.join(SCHEMES)}"),
        ({"fedprox_mu": 1.0}, "fedprox_mu = 1.0 must be between 0 and 1/learning_rate = 0.5"),
        ({"target": "sick"}, "target = 'sick' needs a CSV file"),
        ({"csv": Path("a.csv")}, "needs a target: give target"),
        ({"csv": Path("a.csv"), "target": "t", "dataset": "digits"}, "each says which rows there are; give one of the"),
        ({"dataset": "iris"}, "dataset = 'iris' is not known; choose breast-cancer or digits"),
        ({"schema": Path("s.json")}, "schema = 's.json' needs a CSV file"),
        ({"csv": Path("a.csv"), "target": "s", "site_column": "s"}, "both target and site column"),
        ({"csv": Path("a.csv"), "target": "t", "site_column": "s", "institutions": 4}, "give one of the two"),
        ({"learning_rate": 1e30}, "learning_rate = 1e+30 must be at most 1000000"),
        ({"update_clip": 1e300}, "update_clip = 1e+300 must be at most 1000000"),
        ({"reruns": 1}, "leave it out, or set epsilon to None"),
        ({"weight_max": 10}, "no use under differential privacy"),
        ({"dropouts": -1}, "dropouts = -1"),
        ({"deadline_s": 0.0}, "deadline_s = 0.0"),
        (
            {"csv": ("a.csv",), "target": "t", "report": Path("./x/../a.csv")},
            "report = 'x/../a.csv' would be written over csv = 'a.csv'; give another file",
        ),
        ({"csv": ("n=a.csv",), "target": "t", "report": Path("a.csv")}, "written over csv = 'a.csv'"),
        ({"csv": ("a",), "target": "t", "schema": Path("s"), "report": Path("s")}, "written over schema = 's'"),
        ({"model_out": Path("m.npz"), "report": Path("m.npz")}, "model_out = 'm.npz' would be written over report ="),
    ],
)
def test_a_wrong_setting_is_refused_with_its_value(settings: dict[str, Any], says: str) -> None:
    with pytest.raises(ParameterError) as caught:
        TrainConfig.of(**settings)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_default_server_is_the_strongest_that_a_scheme_withstands(scheme: str) -> None:
    assert Aggregation(scheme=scheme).adversary == ("active" if scheme in WITHSTAND_ACTIVE else "semi-honest")
    assert Aggregation(scheme=scheme, adversary="semi-honest").adversary == "semi-honest"


def test_settings_by_name_and_by_value_are_the_same() -> None:
    config = TrainConfig(data=Data(institutions=4), training=Training(rounds=3), run=Run(report=None))
    assert TrainConfig.of(institutions=4, rounds=3, report=None) == config
    assert TrainConfig.of(**config.settings) == config
    assert len(config.settings) == sum(len(fields(value)) for value in vars(config).values())


def test_a_setting_that_there_is_none_of_is_refused() -> None:
    with pytest.raises(ParameterError, match="no setting 'round'"):
        TrainConfig.of(round=3)


def plans(**changes: Any) -> tuple[RoundPlan, ...]:
    deployment = Deployment(**({"dropouts": 2} | changes))
    return plan_rounds(np.random.default_rng(0), range(1, 11), 20, STEPS, deployment, fewest=6)


def test_two_sites_vanish_in_every_round_and_every_step_is_hit() -> None:
    drawn = plans()
    assert all(len(plan.dropouts) == 2 for plan in drawn)
    assert {step for plan in drawn for step in plan.dropouts.values()} == set(STEPS)


def test_a_slow_site_misses_the_deadline_at_the_step_that_carries_its_vector() -> None:
    late = [plan for plan in plans(deadline_s=30.0) if plan.late]
    assert late
    for plan in late:
        assert not plan.late & plan.dropouts.keys()
        assert all(plan.drops("MaskedInput")[site] == "MaskedInput" for site in plan.late)
    assert not any(plan.late for plan in plans(deadline_s=1e9))


def test_a_site_trains_unless_it_is_gone_before_its_vector_is_due() -> None:
    plan = RoundPlan(
        {1: "AdvertiseKeys", 2: "ShareKeys", 3: "MaskedInput", 4: "Unmasking"}, dict.fromkeys(range(1, 7), 70.0), 60.0
    )
    assert plan.late == {5, 6}
    assert plan.trains(STEPS, "MaskedInput") == {3, 4, 5, 6}


def test_a_round_lasts_until_the_last_vector_or_the_deadline() -> None:
    assert RoundPlan({}, {1: 10.0, 2: 30.0}, 60.0).simulated_s() == 30
    assert RoundPlan({}, {1: 10.0, 2: 70.0}, 60.0).simulated_s() == 60
    assert RoundPlan({1: "ShareKeys"}, {1: 10.0, 2: 30.0}, 60.0).simulated_s() == 60


def test_more_slow_sites_than_there_are_are_refused() -> None:
    with pytest.raises(ParameterError, match="slow_sites = 11 of 10 institutions: use --slow-sites 10 or less"):
        plans(slow_sites=11)
