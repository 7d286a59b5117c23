"""Noise that sites share under the sum: what one row can move, what is in the model, what every round is charged."""

import math
from dataclasses import replace
from functools import cache
from typing import Any

import dp_accounting
import numpy as np
import pytest
import torch
from dp_accounting.pld import PLDAccountant

from secagg.privacy.views import COLLUDING, Release, epsilon_text, epsilons
from secagg.schemes import make_scheme
from secagg.train import TrainConfig, run
from secagg.train.distributed import SumLedger, planned
from secagg.train.dpsgd import clipped_sum
from secagg.train.examples import Examples
from secagg.train.fedavg import local_update
from secagg.train.model import Model, Params, tensors
from secagg.train.report import render
from secagg.train.rounds import federate
from secagg.train.schedule import RoundPlan
from secagg.train.setup import Setup, make_setup
from secagg.train.stream import SiteStream
from secagg_protocols.errors import ParameterError

SMALL = {
    "dp": "distributed",
    "institutions": 6,
    "rounds": 2,
    "local_steps": 1,
    "epsilon": 2.0,
    "adversary": "semi-honest",
    "slow_sites": 0,
    "report": None,
}
INSTITUTION = {"unit": "institution", "local_steps": 3, "delta": 1e-3}


def config(**changes: Any) -> TrainConfig:
    return TrainConfig.of(**(SMALL | changes))


@cache
def of_rows() -> Setup:
    return make_setup(config(model="mlp"))


@cache
def of_institutions() -> Setup:
    return make_setup(config(model="mlp", **INSTITUTION))


def flat(params: Params) -> np.ndarray:
    return np.concatenate([params[name].ravel() for name in sorted(params)])


def sent(setup: Setup, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """What a site's vector stands for, if every row joins the lot."""
    how = replace(setup.how, sampling_rate=1.0)
    update = local_update(setup.model, setup.initial, Examples.of(x, y), how, SiteStream(bytes(32), 1, 1))
    kept = setup.codec.in_range(update.delta)
    assert isinstance(kept, dict)
    return flat(kept)


@pytest.mark.parametrize("copies", [1, 12])
def test_one_row_moves_what_a_site_sends_by_its_clip_also_where_the_whole_is_cut(copies: int) -> None:
    setup = of_rows()
    silo = setup.silos[0]
    x, y = np.tile(setup.data.x[silo.train], (copies, 1)), np.tile(setup.data.y[silo.train], copies)
    mechanism = setup.encoding.mechanism
    assert mechanism is not None
    whole = sent(setup, x, y)
    assert np.linalg.norm(whole) <= mechanism.radius * (1 + 1e-12)
    moved = [np.linalg.norm(whole - sent(setup, np.delete(x, row, 0), np.delete(y, row))) for row in range(20)]
    assert 0 < max(moved) <= mechanism.clip


def test_a_row_without_a_finite_gradient_counts_as_zero() -> None:
    model = Model("logistic", 3, 1)
    params = tensors(model.initial(np.random.default_rng(0)))
    x = np.array([[0.1, 0.2, 0.3], [math.nan, 0.0, 0.0], [0.5, math.inf, 0.0]])
    y = np.array([1, 0, 1])
    kept = clipped_sum(model, params, Examples.of(x[:1], y[:1]), 0.2)
    for name, total in clipped_sum(model, params, Examples.of(x, y), 0.2).items():
        torch.testing.assert_close(total, kept[name])


@pytest.mark.parametrize("made", [of_rows, of_institutions], ids=["row", "institution"])
def test_the_model_is_off_by_the_planned_noise_and_nothing_else(made: Any) -> None:
    """Plain FedAvg ends its first round where the secure training would without noise."""
    setup = made()
    mechanism = setup.encoding.mechanism
    found = federate(replace(setup, plans=setup.plans[:1]), lambda number, line: None)
    (record,) = found.records
    assert record.failed is None
    assert len(record.survivors) < len(setup.silos)
    survivors = len(record.survivors)
    off = (flat(found.secure) - flat(found.plain)) * survivors * setup.codec.scale
    ratio = (off**2).mean() / (survivors * mechanism.variance_of(len(setup.silos) - survivors))
    assert abs(ratio - 1) < 5 * math.sqrt(2 / off.size)
    assert record.codec_error <= record.codec_bound


@pytest.mark.parametrize(("made", "rate"), [(of_rows, 0.5), (of_institutions, 1.0)], ids=["row", "institution"])
def test_epsilon_is_what_dp_accounting_makes_of_the_noise_alone(made: Any, rate: float) -> None:
    setup = made()
    mechanism = setup.encoding.mechanism
    clip = mechanism.clip * setup.codec.scale
    event = dp_accounting.GaussianDpEvent(math.sqrt(float(setup.scheme.noise.variance)) / clip)
    if rate < 1:
        event = dp_accounting.PoissonSampledDpEvent(rate, event)
    rounds = setup.config.training.rounds
    delta = setup.config.privacy.delta
    ideal = PLDAccountant(value_discretization_interval=1e-4).compose(event, rounds).get_epsilon(delta)
    assert ideal <= epsilons([Release(mechanism, 2)] * rounds, delta, rate)[COLLUDING] <= 2.0
    assert ideal > 2.0 * 0.99


def test_a_round_is_charged_for_the_worst_case_until_it_is_known_who_was_in_its_sum() -> None:
    asked = config(scheme="lightsecagg", **INSTITUTION)
    asked = replace(asked, privacy=asked.privacy.with_delta(100))
    scheme = make_scheme("lightsecagg", 6, 31, colluders=1, dropout_rate=2 / 6)
    mechanism = planned(asked, scheme, 50, colluders=1, tolerated=2)
    ledger = SumLedger(mechanism, 1e-3, 1.0, None)
    ledger.charge({1, 2})
    worst = ledger.spent()
    assert worst == epsilons([Release(mechanism, mechanism.tolerated)], 1e-3)[COLLUDING]
    ledger.settle(0)
    assert ledger.spent() == epsilons([Release(mechanism, 0)], 1e-3)[COLLUDING]
    assert ledger.spent() < worst < ledger.spent_after({1}) <= asked.privacy.epsilon
    ledger.charge({1})
    assert ledger.views() == epsilons([Release(mechanism, 0), Release(mechanism, mechanism.tolerated)], 1e-3)
    assert (ledger.rounds_of(1), ledger.rounds_of(2)) == (2, 1)


def test_a_failed_round_is_charged_and_one_beyond_the_budget_is_not_trained() -> None:
    setup = of_institutions()
    lost = RoundPlan(dict.fromkeys(range(1, 4), setup.contribute), dict.fromkeys(range(1, 7), 1.0), 60.0)
    found = federate(replace(setup, plans=(lost, *setup.plans)), lambda number, line: None)
    first, second = found.records
    assert first.failed is not None
    assert second.failed is None
    assert 0 < first.epsilon < second.epsilon <= 2.0
    assert found.stopped == "the budget ε = 2 is spent"


@pytest.mark.parametrize(("made", "rate"), [(of_rows, 0.5), (of_institutions, 1.0)], ids=["row", "institution"])
def test_an_auditor_recomputes_every_rounds_epsilon_from_what_is_recorded_of_it(made: Any, rate: float) -> None:
    """Failed rounds too. A model that is asked about again is trained on new lots: no lot is released twice."""
    setup = made()
    calm = replace(setup.plans[0], dropouts={})
    lost = replace(calm, dropouts=dict.fromkeys(range(1, 4), setup.contribute))
    generous = replace(setup.config, privacy=replace(setup.config.privacy, epsilon=50.0))
    found = federate(replace(setup, config=generous, plans=(calm, lost, *setup.plans)), lambda number, line: None)
    assert [record.failed is None for record in found.records] == [True, False, True, True]
    accountant = PLDAccountant(value_discretization_interval=1e-4)
    for record in found.records:
        event = dp_accounting.GaussianDpEvent(record.noise_multiplier)
        accountant.compose(dp_accounting.PoissonSampledDpEvent(rate, event) if rate < 1 else event)
        assert record.epsilon == pytest.approx(accountant.get_epsilon(setup.config.privacy.delta), rel=2e-3)
    least, most = (setup.encoding.mechanism.against(6 - 1 - dropouts, dropouts) for dropouts in (2, 0))
    assert {round(record.noise_multiplier / least, 9) for record in found.records} <= {1.0, round(most / least, 9)}


def test_epsilon_stands_with_its_unit_and_by_who_looks() -> None:
    result = run(config(rounds=1, **INSTITUTION))
    shown = result.as_json()
    assert (shown["dp"], shown["epsilon_unit"]) == ("distributed", "institution")
    seen = shown["epsilon"]
    assert seen["released model"] < seen[COLLUDING] <= 2.0 < seen["too many colluders"]
    assert shown["settings"]["tolerated"] == shown["settings"]["dropouts"] == 2
    assert (shown["per_round"][0]["loss"], shown["derived"]["weight_max"]) == (None, None)
    assert shown["derived"]["update_norm"] == 0.5  # half a step, of three
    secure, plain, *_ = result.table()
    assert (secure["ε"], plain["ε"]) == (epsilon_text(seen[COLLUDING]), "∞")
    page = render(result)
    assert "A single institution" in page
    assert "as many sites as open secrets" in page
    assert "for one institution" in page


def test_by_default_a_round_is_one_step_where_rows_are_protected_by_shared_noise():
    assert TrainConfig.of(dp="distributed").training.steps == 1
    assert TrainConfig.of(dp="distributed", unit="institution", delta=1e-3).training.steps == 2
    assert TrainConfig.of(dp="local").training.steps == 2


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"local_steps": 2}, "use --local-steps 1, --dp local or --unit institution"),
        ({"dropouts": 3, "tolerated": 2}, "use --tolerated 3, or --drop-per-round 2 or less"),
        ({"tolerated": 5}, "use --tolerated 3 or less"),
        ({"dropouts": 4}, "use --drop-per-round 3 or less"),
        (INSTITUTION | {"tolerated": 3, "threshold": 4}, "use --tolerated 2 or less"),
        (INSTITUTION | {"value_bits": 4}, "value_bits=4 does not hold this noise"),
        ({"scheme": "plain"}, "use --scheme bonawitz, or --dp local"),
        ({"update_clip": 1.0}, "leave it out"),
        ({"weight_max": 3}, "no use under differential privacy"),
        ({"sweep": ("epsilon",)}, "a sweep trains with local noise"),
        ({"noise_multiplier": 1.0}, "is planned from epsilon"),
        ({"epsilon": None}, "no epsilon contradict"),
        ({"delta": 0.01}, "delta = 0.01 is above one in"),
        ({"unit": "patient"}, "use --patient-column, or --unit row"),
        ({"update_norm": 1.0}, "--unit institution, or leave it out"),
        (INSTITUTION | {"delta": 0.01}, "use --delta 0.001 or less"),
        (INSTITUTION | {"public_size": 40}, "use --unit row, or leave it out"),
        ({"public_size": 99_999_999_999}, "public_size = 99999999999 must be at most"),
        ({"dp": "local", "unit": "institution"}, "use --dp distributed"),
        ({"dp": "local", "tolerated": 1}, "use --dp distributed"),
    ],
    ids=lambda one: " ".join(f"{name}" for name in one) if isinstance(one, dict) else "",
)
def test_what_cannot_be_is_refused_with_the_option_that_helps(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(ParameterError) as refused:
        make_setup(config(**changes))
    assert says in str(refused.value)
    assert "\n" not in str(refused.value)
