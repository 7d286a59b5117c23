"""Few institutions: what they are not asked to withstand is said, and no round is lost that need not be."""

from pathlib import Path
from typing import Any

import pytest

from secagg.schemes import ONE_KEY, PROTECTING, SCHEMES
from secagg.train import TrainConfig, run
from secagg.train.report import render
from secagg.train.rounds import federate
from secagg.train.setup import Setup, make_setup
from secagg.train.warn import warnings_of
from secagg_protocols.errors import ParameterError

CASES = Path(__file__).parents[1] / "cases" / "01-few-hospitals"

ROUNDS = 5
"""One for each step at which a site may drop out."""


def config_of(institutions: int, **changes: Any) -> TrainConfig:
    file = CASES / f"{institutions}-hospitals.csv"
    table = {"csv": file, "target": "outcome", "site_column": "site"} if file.exists() else {}
    where = table or {"institutions": institutions}
    return TrainConfig.of(**({"rounds": ROUNDS, "report": None} | where | changes))


def setup_of(institutions: int, **changes: Any) -> Setup:
    return make_setup(config_of(institutions, **changes))


@pytest.mark.parametrize(
    ("institutions", "colluders", "dropouts"), [(3, 0, 0), (4, 1, 0), (5, 1, 1), (6, 1, 2), (7, 1, 2)]
)
def test_at_its_defaults_no_round_is_lost(institutions: int, colluders: int, dropouts: int) -> None:
    setup = setup_of(institutions)
    assert setup.config.aggregation.colluders == setup.policy.colluders == colluders
    assert setup.config.deployment.dropouts == dropouts
    outcome = federate(setup, lambda number, line: None)
    assert len(outcome.records) == ROUNDS
    assert [record.failed for record in outcome.records] == [None] * ROUNDS
    said = " ".join(warnings_of(setup, outcome))
    assert ("colluders = 0, as there are 3 institutions" in said) == (colluders == 0)
    assert ("simulated" in said) == (dropouts < 2)


def test_three_are_told_in_output_and_report_that_no_colluder_is_withstood() -> None:
    result = run(config_of(3))
    assert result.as_json()["settings"]["colluders"] == 0
    assert any(warning.startswith("colluders = 0") for warning in result.warnings)
    html = render(result)
    assert "one that helps the server learns with it the sum of the 2 others" in html
    assert "up to 0 colluding site(s)" in html


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("changes", [{}, {"slow_sites": 4}, {"deadline_s": 1.0}, {"scheme": "lightsecagg"}])
def test_a_server_waits_beyond_its_deadline_for_the_sites_that_a_sum_needs(seed: int, changes: dict[str, Any]) -> None:
    setup = setup_of(4, seed=seed, epsilon=None, **changes)
    for plan in setup.plans:
        assert len(plan.drops(setup.contribute)) == 0
        assert plan.simulated_s() == max(plan.durations.values())


def test_of_sites_that_can_be_missed_the_deadline_is_kept() -> None:
    plans = setup_of(7, epsilon=None, dropouts=0, deadline_s=1.0).plans
    assert all(len(plan.late) == 2 for plan in plans)


@pytest.mark.parametrize(
    ("institutions", "changes", "says"),
    [
        (3, {"colluders": 1}, "use --colluders 0"),
        (5, {"colluders": 3}, "use --colluders 2 or less"),
        (3, {"dropouts": 1}, "a sum takes 3 under bonawitz with colluders = 0: use --drop-per-round 0"),
        (5, {"dropouts": 2}, "use --drop-per-round 1 or less"),
        (10, {"dropouts": 12}, "leave 0, and a sum takes 6 under bonawitz"),
        (4, {"scheme": "bfv", "dropouts": 2}, "use --drop-per-round 1 or less"),
        (5, {"slow_sites": 6}, "use --slow-sites 5 or less"),
    ],
)
def test_faults_that_so_few_do_not_survive_are_refused_before_any_work(
    institutions: int, changes: dict[str, Any], says: str
) -> None:
    with pytest.raises(ParameterError) as caught:
        setup_of(institutions, **changes)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("scheme", sorted(ONE_KEY | (SCHEMES.keys() - PROTECTING)))
def test_no_promise_is_asked_of_a_scheme_that_gives_none(scheme: str) -> None:
    with pytest.raises(ParameterError, match="colluders = 1"):
        TrainConfig.of(scheme=scheme, colluders=1)
    assert setup_of(3, scheme=scheme).config.aggregation.colluders == 0


def test_the_sum_in_the_clear_is_asked_for_neither_a_threshold_nor_an_active_server() -> None:
    with pytest.raises(ParameterError, match="threshold = 3: plain shows the server every update"):
        TrainConfig.of(scheme="plain", threshold=3)
    with pytest.raises(ParameterError, match="adversary = 'active': plain shows the server every update"):
        TrainConfig.of(scheme="plain", adversary="active")


def test_no_score_is_shown_for_a_model_that_no_round_has_made() -> None:
    result = run(TrainConfig.of(rounds=1, noise_multiplier=0.5, epsilon=0.1, report=None))
    found = result.as_json()
    assert result.rounds == ()
    assert found["final_metric"] is found["final_accuracy"] is found["plain_fedavg_metric"] is None
    assert [row["AUC"] for row in result.table()][:2] == ["–", "–"]
    assert all("nan" not in row["AUC"] for row in result.table())
    html = render(result)
    assert '<div class="tile main"><b>–</b>' in html
    assert "None" not in html
