"""What another ε or fewer sites would give: shown beside what finding it out would have cost."""

import json

import pytest

from secagg.train import TrainConfig, TrainResult, run
from secagg.train.report import render
from secagg_protocols.errors import ParameterError


@pytest.fixture(scope="module")
def result() -> TrainResult:
    settings = {"rounds": 1, "local_steps": 1, "institutions": 4, "dropouts": 0, "slow_sites": 0, "sampling_rate": 1.0}
    return run(TrainConfig.of(**settings, report=None, epsilon=6.0, sweep=("epsilon", "sites")))


def test_a_sweep_tries_values_around_the_one_asked_for_and_no_noise(result: TrainResult) -> None:
    by_epsilon, by_sites = result.sweeps
    assert [point.value for point in by_epsilon.points] == [0.6, 2.0, 6.0, 18.0, None]
    assert [point.value for point in by_sites.points] == [3, 4]
    for point in (*by_epsilon.points, *by_sites.points):
        assert point.auc_range[0] <= point.auc <= point.auc_range[1]
        assert point.accuracy_range[0] <= point.accuracy <= point.accuracy_range[1]


def test_every_training_of_it_is_added_up(result: TrainResult) -> None:
    by_epsilon, by_sites = result.sweeps
    assert by_epsilon.spends == pytest.approx(3 * (0.6 + 2 + 6 + 18))
    assert by_sites.spends == pytest.approx(3 * 2 * 6)
    html = render(result)
    assert "this table would cost ε = 79.8" in html
    assert "this table would cost ε = 36 " in html


def test_it_is_in_the_json_object(result: TrainResult) -> None:
    found = json.loads(json.dumps(result.as_json(), allow_nan=False))["sweeps"]
    assert [sweep["setting"] for sweep in found] == ["epsilon", "sites"]
    assert found[0]["points"][-1]["value"] is None


def test_less_noise_is_drawn_for_a_larger_budget(result: TrainResult) -> None:
    strict, *_, none = result.sweeps[0].points
    assert none.auc_range[1] - none.auc_range[0] < strict.auc_range[1] - strict.auc_range[0]


def test_without_noise_there_is_no_epsilon_to_try_others_of() -> None:
    with pytest.raises(ParameterError, match="sweep = 'epsilon'"):
        TrainConfig.of(epsilon=None, sweep=("epsilon",))
    with pytest.raises(ParameterError, match="sweep = 'rounds' is not known; choose epsilon or sites"):
        TrainConfig.of(sweep=("rounds",))
