"""ε of patients: all rows of one are drawn by one coin and clipped as one, and who is at two sites has more."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import dp_accounting
import numpy as np
import pytest
import torch
from dp_accounting.pld import PLDAccountant

from secagg.privacy.views import epsilon_text
from secagg.train import TrainConfig, TrainResult, examples, run
from secagg.train.accounting import Mechanism, epsilon, epsilon_together
from secagg.train.dpsgd import clipped_sum
from secagg.train.examples import Examples
from secagg.train.model import Model, Params, tensors
from secagg.train.report import render
from secagg.train.rounds import federate, train_site
from secagg.train.setup import Setup, make_setup, under_epsilon
from secagg.train.stream import SiteStream
from secagg_protocols.errors import ParameterError

CASES = Path(__file__).parents[1] / "cases"
CLIP = 0.2
RNG = np.random.default_rng(11)
WHOSE = np.repeat(RNG.permutation(12) * 7, np.arange(1, 13))[RNG.permutation(78)]
"""Twelve patients with one to twelve rows, in no order."""
X, Y = RNG.normal(size=(len(WHOSE), 5)) * 3, RNG.integers(0, 2, len(WHOSE))

COUNTED = {"unit": "patient", "rounds": 3, "public_size": 8, "report": None, "slow_sites": 0}
DISTRIBUTED = {"dp": "distributed", "local_steps": 1, "epsilon": 2.0, "adversary": "semi-honest"}


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six sites of twelve patients, each with one to five rows; nobody is at two of them."""
    rows = [
        f"{site}-{patient},site {site},{RNG.normal():.3f},{RNG.normal():.3f},{patient % 2}"
        for site in range(6)
        for patient in range(12)
        for _ in range(1 + patient % 5)
    ]
    file = tmp_path_factory.mktemp("patients") / "visits.csv"
    file.write_text("\n".join(["patient,site,age,dose,outcome", *rows]))
    return file


def config(table: Path, **changes: Any) -> TrainConfig:
    columns = {"csv": (str(table),), "target": "outcome", "site_column": "site", "patient_column": "patient"}
    return TrainConfig.of(**(columns | COUNTED | changes))


def flat(params: Params | dict[str, torch.Tensor]) -> np.ndarray:
    return np.concatenate([np.asarray(params[name]).ravel() for name in sorted(params)])


def summed(model: Model, kept: np.ndarray, clip: float = CLIP) -> np.ndarray:
    params = tensors(model.initial(np.random.default_rng(0)))
    return flat(clipped_sum(model, params, Examples.of(X[kept], Y[kept], WHOSE[kept]), clip))


def without_one(whose: np.ndarray) -> Iterator[np.ndarray]:
    for patient in np.unique(whose):
        yield whose != patient


@pytest.mark.parametrize("rows_at_once", [4096, 10])
@pytest.mark.parametrize("kind", ["logistic", "mlp"])
def test_all_rows_of_a_patient_move_the_sum_by_at_most_one_clip(
    monkeypatch: pytest.MonkeyPatch, kind: str, rows_at_once: int
) -> None:
    monkeypatch.setattr(examples, "ROWS_AT_ONCE", rows_at_once)
    model = Model(kind, 5, 4)
    whole = summed(model, WHOSE >= 0)
    moved = [np.linalg.norm(whole - summed(model, rest)) for rest in without_one(WHOSE)]
    assert max(moved) <= CLIP + 1e-12
    assert min(moved) > CLIP / 2  # also that of the patient with one row: rows do not outvote


def test_a_patients_gradient_is_the_mean_of_those_of_its_rows() -> None:
    model = Model("mlp", 5, 4)
    params = tensors(model.initial(np.random.default_rng(0)))
    each = [
        flat(clipped_sum(model, params, Examples.of(X[own], Y[own]), 1e9)) / own.sum()
        for own in (patient == WHOSE for patient in np.unique(WHOSE))
    ]
    np.testing.assert_allclose(summed(model, WHOSE >= 0, 1e9), np.sum(each, axis=0), rtol=0, atol=1e-12)


def test_a_patient_with_one_row_that_is_not_finite_counts_as_zero() -> None:
    model = Model("logistic", 5, 4)
    params = tensors(model.initial(np.random.default_rng(0)))
    spoilt = X.copy()
    spoilt[0, 0] = np.nan
    found = flat(clipped_sum(model, params, Examples.of(spoilt, Y, WHOSE), CLIP))
    np.testing.assert_allclose(found, summed(model, WHOSE[0] != WHOSE), rtol=0, atol=1e-12)


def test_one_coin_draws_all_rows_of_a_patient_or_none() -> None:
    everyone = Examples.of(X, Y, WHOSE)
    assert everyone.units == 12
    sizes = {int(first): int((X[patient == WHOSE]).shape[0]) for first, patient in enumerate(np.unique(WHOSE))}
    drawn = SiteStream(bytes(32), 1, 1).poisson_lot(everyone.units, 0.5)
    lot = everyone.lot(drawn)
    assert torch.bincount(lot.unit_of).tolist() == [sizes[int(unit)] for unit in drawn]
    assert 0 < lot.units < 12


@pytest.fixture(scope="module")
def shared(table: Path) -> Setup:
    """A run whose sites share the noise."""
    return make_setup(config(table, **DISTRIBUTED))


def test_what_a_site_sends_moves_by_one_clip_where_a_patient_is_taken_out(shared: Setup) -> None:
    silo = shared.silos[0]
    patients, mechanism = shared.data.patients, shared.encoding.mechanism
    assert patients is not None
    assert mechanism is not None

    # With every coin heads: without the patient, the coins of those after it would be others.
    setup = replace(shared, how=replace(shared.how, sampling_rate=1.0))

    def sent(rows: np.ndarray) -> np.ndarray:
        kept = setup.codec.in_range(train_site(setup, setup.initial, replace(silo, train=rows), bytes(32), 1).delta)
        assert isinstance(kept, dict)
        return flat(kept)

    whole = sent(silo.train)
    moved = [np.linalg.norm(whole - sent(silo.train[rest])) for rest in without_one(patients[silo.train])]
    assert 0.5 * mechanism.clip < max(moved) <= mechanism.clip


def test_the_public_size_counts_patients_and_bounds_delta(table: Path) -> None:
    setup = make_setup(config(table, public_size=None))
    assert setup.data.patients is not None
    each = [len(np.unique(setup.data.patients[silo.train])) for silo in setup.silos]
    assert each == [8] * 6  # the others are held out
    assert (setup.public_size, setup.how.lot_size, setup.how.unit) == (8, 4.0, "patient")
    assert "mean training patients per site" in " ".join(setup.warnings)
    assert under_epsilon(setup, None).mechanism is None  # as a sweep over ε has it
    with pytest.raises(ParameterError, match=r"above one in 48, the number of training patients in all"):
        make_setup(config(table, delta=0.03))


@pytest.mark.parametrize(
    ("asked", "follows"), [(1, "steps are longer than asked for"), (8, None), (1000, "the model hardly moves")]
)
def test_a_public_size_far_from_what_is_there_is_warned_of(table: Path, asked: int, follows: str | None) -> None:
    warned = [warning for warning in make_setup(config(table, public_size=asked)).warnings if "on average" in warning]
    assert len(warned) == (follows is not None)
    for warning in warned:
        assert f"public_size = {asked}, and a site trains on 8 patients on average" in warning
        assert str(follows) in warning
        assert "(--public-size)" in warning


@pytest.mark.parametrize(("asked", "warned"), [(64, 0), (10**9, 1)])
def test_without_noise_a_public_size_far_beyond_the_rows_is_warned_of_as_well(asked: int, warned: int) -> None:
    said = make_setup(TrainConfig.of(epsilon=None, public_size=asked, report=None)).warnings
    assert sum("so the mean is coarse" in warning for warning in said) == warned


def spent(multipliers: Sequence[float | None], steps: int, delta: float | None) -> float:
    """ε of rounds of so many steps, by dp-accounting alone."""
    accountant = PLDAccountant(value_discretization_interval=1e-4)
    for multiplier in multipliers:
        event = dp_accounting.PoissonSampledDpEvent(0.5, dp_accounting.GaussianDpEvent(multiplier))
        accountant.compose(event, steps)
    return float(accountant.get_epsilon(delta))


def test_where_noise_is_shared_epsilon_of_a_patient_is_what_dp_accounting_makes_of_it(shared: Setup) -> None:
    *_, last = (found := federate(shared, lambda number, line: None)).records
    recomputed = spent([record.noise_multiplier for record in found.records], 1, shared.config.privacy.delta)
    assert last.epsilon == pytest.approx(recomputed, rel=2e-3)
    assert last.epsilon <= 2.0


def test_epsilon_of_a_patient_is_what_dp_accounting_makes_of_the_noise_of_a_site(table: Path) -> None:
    result = run(config(table, rounds=2, dropouts=0))
    recomputed = spent([record.noise_multiplier for record in result.rounds], 2, result.delta)
    assert result.promised_epsilon == pytest.approx(recomputed, rel=2e-3)
    assert (result.unit, result.rows_per_patient, result.sites_per_patient) == ("patient", 5, 1)
    assert result.epsilon_per_patient == pytest.approx(result.promised_epsilon, rel=2e-3)
    assert "No patient has training rows at two institutions." in result.about_epsilon[0]
    page = render(result)
    assert "A single patient" in page
    assert "all training rows of one patient at one site more or less" in page


def at_all_sites(**changes: Any) -> TrainResult:
    """Every patient has a row at each of four sites."""
    return run(config(CASES / "05-several-rows-per-patient" / "visits.csv", public_size=9, **changes))


def test_a_patient_at_several_sites_is_told_its_own_epsilon() -> None:
    result = at_all_sites()
    settings = result.settings
    assert (result.rows_per_patient, result.sites_per_patient) == (4, 4)
    mechanism = Mechanism(result.derived["noise_multiplier"], settings["sampling_rate"], settings["local_steps"])
    assert result.delta is not None
    assert result.epsilon_per_patient == epsilon_together(4, mechanism, settings["rounds"], result.delta)
    assert result.promised_epsilon == epsilon(mechanism, settings["rounds"], result.delta)
    assert (
        f"at 4 institutions: together they have ε = {epsilon_text(result.epsilon_per_patient)}."
        in result.about_epsilon[0]
    )


def test_without_sampling_a_patient_at_two_sites_has_half_the_noise() -> None:
    everyone = Mechanism(4.0, 1.0, 1)
    assert epsilon_together(2, everyone, 5, 1e-5) == epsilon(Mechanism(2.0, 1.0, 1), 5, 1e-5)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (DISTRIBUTED | {"local_steps": 2}, "a patient is protected for one step a round"),
        ({"patient_column": None}, "use --patient-column, or --unit row"),
        ({"dp": "none", "public_size": None}, "unit = patient has no use with dp = none"),
        ({"update_norm": 1.0}, "each patient is clipped"),
    ],
    ids=["several steps", "nobody known", "no noise", "norm"],
)
def test_what_cannot_be_is_refused_in_one_line(table: Path, changes: dict[str, Any], says: str) -> None:
    with pytest.raises(ParameterError, match=says) as refused:
        make_setup(config(table, **changes))
    assert "\n" not in str(refused.value)
