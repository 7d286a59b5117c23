"""Whole runs over the real protocol: equal to plain FedAvg, dropouts survived, failures charged, nothing repeated."""

import json
import re
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from secagg.schemes import ONE_KEY
from secagg.train import TrainConfig, TrainResult, run
from secagg.train.context import context_digest
from secagg.train.rounds import Outcome, federate, weight_of
from secagg.train.schedule import RoundPlan
from secagg.train.setup import Setup, make_setup
from secagg.train.warn import warnings_of
from secagg_he import GroupKey
from secagg_protocols.errors import InputError, ParameterError

PROMISED = {
    "dataset", "institutions", "sizes", "scheme", "rounds", "metric", "per_round", "final_metric",
    "plain_fedavg_metric", "local_only_metric", "centralised_metric", "epsilon", "delta", "report",
}  # fmt: skip
PROMISED_PER_ROUND = {"metric", "survivors", "dropped", "bytes", "seconds", "epsilon"}


def config(**changes: Any) -> TrainConfig:
    return TrainConfig.of(**({"rounds": 4, "report": None} | changes))


def outcome_of(setup: Setup) -> Outcome:
    return federate(setup, lambda number, line: None)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> TrainResult:
    """The run that a new user sees, with every default but the place of its report."""
    return run(TrainConfig.of(report=tmp_path_factory.mktemp("demo") / "report.html"))


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"adversary": "semi-honest", "value_bits": 8},
        {"epsilon": None},
        {"epsilon": None, "model": "mlp", "fedprox_mu": 0.1},
        {"scheme": "plain"},
    ],
)
def test_every_secure_mean_is_the_exact_mean_within_the_codecs_bound(changes: dict[str, Any]) -> None:
    records = outcome_of(make_setup(config(**changes))).records
    assert len(records) == 4
    for record in records:
        assert record.failed is None
        assert record.codec_error is not None
        assert record.codec_bound is not None
        assert 0 < record.codec_error <= record.codec_bound


@cache
def without_faults(scheme: str, value_bits: int) -> tuple[Any, Any]:
    """Return a training of two rounds that everybody stays in, and its records."""
    settings = {"epsilon": None, "value_bits": value_bits, "dropouts": 0, "slow_sites": 0, "rounds": 2}
    setup = make_setup(config(scheme=scheme, **settings))
    return setup, outcome_of(setup).records


@pytest.mark.parametrize("value_bits", [8, 16])
@pytest.mark.parametrize("scheme", ["lightsecagg", "threshold-ckks", "bfv", "ckks"])
def test_every_scheme_carries_the_codec_s_sums_exactly(scheme: str, value_bits: int) -> None:
    """Before the first round all models are alike, and no metric is rounded by more than its coordinate's bits."""
    if scheme in ONE_KEY:
        pytest.importorskip("tenseal")
    setup, plain = without_faults("plain", value_bits)
    _, found = without_faults(scheme, value_bits)
    codec, sites = setup.codec, range(1, len(setup.silos) + 1)
    assert codec.weight_max is not None
    amplified = len(sites) * codec.weight_max / sum(weight_of(setup, site) for site in sites)
    bound = 2 * amplified / ((1 << value_bits) - 1)  # both are rounded
    assert found[0].loss == pytest.approx(plain[0].loss, abs=10 * bound)
    assert found[0].local_accuracy == pytest.approx(plain[0].local_accuracy, abs=bound)
    for record in found:
        assert record.failed is None
        assert record.codec_error is not None
        assert record.codec_bound is not None
        assert 0 < record.codec_error <= record.codec_bound


def test_one_group_key_serves_the_whole_run() -> None:
    pytest.importorskip("tenseal")
    setup = make_setup(config(scheme="bfv"))
    outcome = outcome_of(setup)
    assert setup.group_key is not None
    key, handle = setup.group_key
    assert isinstance(key, GroupKey)
    assert handle == key.handle
    assert len(outcome.records) == 4
    assert repr(key.secret) not in repr(setup)


def test_secure_training_ends_where_plain_fedavg_does(demo: TrainResult) -> None:
    assert demo.secure.auc == pytest.approx(demo.plain.auc, abs=0.005)
    assert demo.secure.accuracy == pytest.approx(demo.plain.accuracy, abs=0.02)


def test_together_is_near_the_pooled_model_and_above_the_worst_site(demo: TrainResult) -> None:
    assert demo.secure.auc > demo.centralised.auc - 0.04
    assert demo.secure.auc > demo.alone.auc_range[0] + 0.03


def test_two_vanish_in_every_round_at_every_step_and_none_fails(demo: TrainResult) -> None:
    assert all(record.failed is None for record in demo.rounds)
    assert all(len(record.dropped) - len(record.late) == 2 for record in demo.rounds)
    assert {step for record in demo.rounds for step in record.dropped.values()} == {
        "AdvertiseKeys", "ShareKeys", "MaskedInput", "ConsistencyCheck", "Unmasking",
    }  # fmt: skip


def test_survivors_are_those_whose_masked_input_arrived(demo: TrainResult) -> None:
    for record in demo.rounds:
        gone = {site for site, step in record.dropped.items() if step in ("AdvertiseKeys", "ShareKeys", "MaskedInput")}
        assert set(record.survivors) == set(range(1, 11)) - gone


def test_the_budget_holds_and_is_charged_to_the_site_that_trained_most(demo: TrainResult) -> None:
    spent = [record.epsilon or 0.0 for record in demo.rounds]
    assert spent == sorted(spent)
    assert set(demo.epsilon) == {"released model", "server", "server with colluders", "fellow participant"}
    assert set(demo.epsilon.values()) == {spent[-1]}
    assert 0 < spent[-1] <= 3.0
    assert max(site.rounds_charged for site in demo.sites) <= 20
    assert min(site.rounds_charged for site in demo.sites) < 20


def test_the_json_object_holds_what_is_promised(demo: TrainResult) -> None:
    found = json.loads(json.dumps(demo.as_json(), allow_nan=False))
    assert found.keys() >= PROMISED
    assert (found["institutions"], found["rounds"], len(found["per_round"])) == (10, 20, 20)
    assert (sum(found["sizes"]), found["metric"]) == (569, "auc")
    for entry in found["per_round"]:
        assert entry.keys() >= PROMISED_PER_ROUND
        assert isinstance(entry["survivors"], int)
        assert isinstance(entry["dropped"], int)
    assert found["warnings"] == []


def test_an_accuracy_is_shown_within_its_interval(demo: TrainResult) -> None:
    """Rounded to whole percents, 99.5 % would stand beside (100-100 %)."""
    row = replace(demo, alone=replace(demo.alone, accuracy=0.995, accuracy_range=(0.995, 0.9975))).table()[2]
    assert row["accuracy"] == "99.5% (99–100%)"
    row = replace(demo, alone=replace(demo.alone, accuracy=0.57, accuracy_range=(0.57, 0.93))).table()[2]
    assert row["accuracy"] == "57.0% (57–93%)"


def test_the_table_compares_four_trainings(demo: TrainResult) -> None:
    table = demo.table()
    assert [row["training"] for row in table] == [
        "secure (bonawitz)", "plain FedAvg", "each site alone, median", "all rows in one place",
    ]  # fmt: skip
    assert len({tuple(row) for row in table}) == 1


def test_the_first_page_shows_the_table_that_comes_out(demo: TrainResult) -> None:
    page = (Path(__file__).parents[2] / "docs" / "first-ten-minutes.md").read_text(encoding="utf-8")
    lines = [line for line in page.splitlines() if line.startswith(("┃", "│"))]
    shown = [[cell.strip() for cell in re.split("[┃│]", line)[1:-1]] for line in lines]
    rows = demo.table()
    assert shown[0] == list(rows[0]), "run docs/make_first_minutes.py"
    names = " ".join(row[0] for row in shown[1:] if len(row) == len(rows[0])).split()
    assert names == " ".join(row["training"] for row in rows).split(), "run docs/make_first_minutes.py"


def test_a_failed_round_is_charged_and_its_model_is_asked_about_again() -> None:
    setup = make_setup(config())
    calm = RoundPlan({}, dict.fromkeys(range(1, 11), 1.0), 60.0)
    massacre = replace(calm, dropouts=dict.fromkeys(range(1, 6), "MaskedInput"))
    outcome = outcome_of(replace(setup, plans=(calm, massacre, calm)))
    first, failed, third = outcome.records
    assert failed.failed is not None
    assert "MaskedInput" in failed.failed
    assert (failed.auc, failed.survivors, failed.bytes) == (first.auc, (), None)
    assert (failed.epsilon or 0) > (first.epsilon or 0)
    # The third round is about the same model: a second release, which the sites' policy allows because it is charged.
    assert third.failed is None
    assert len(third.survivors) == 10
    assert outcome.ledger.worst == 3


def test_without_privacy_no_site_answers_twice_for_one_model_and_training_stops() -> None:
    setup = make_setup(config(epsilon=None))
    calm = RoundPlan({}, dict.fromkeys(range(1, 11), 1.0), 60.0)
    late_massacre = replace(calm, dropouts=dict.fromkeys(range(1, 6), "Unmasking"))
    outcome = outcome_of(replace(setup, plans=(calm, late_massacre, calm)))
    assert [record.failed is None for record in outcome.records] == [True, False]
    assert outcome.stopped is not None
    assert "no site answers twice" in outcome.stopped


def test_without_privacy_sites_answer_again_as_often_as_reruns_says() -> None:
    setup = make_setup(config(epsilon=None, reruns=1))
    calm = RoundPlan({}, dict.fromkeys(range(1, 11), 1.0), 60.0)
    massacre = replace(calm, dropouts=dict.fromkeys(range(1, 6), "Unmasking"))
    outcome = outcome_of(replace(setup, plans=(massacre, calm, massacre, massacre, calm)))
    assert [record.failed is None for record in outcome.records] == [False, True, False, False]
    assert "reruns = 1" in str(outcome.stopped)


def test_reruns_have_no_use_where_every_round_is_charged() -> None:
    with pytest.raises(ParameterError, match="reruns = 1"):
        config(reruns=1)


def test_a_round_that_fails_before_any_update_left_is_tried_again_without_privacy() -> None:
    setup = make_setup(config(epsilon=None))
    calm = RoundPlan({}, dict.fromkeys(range(1, 11), 1.0), 60.0)
    early_massacre = replace(calm, dropouts=dict.fromkeys(range(1, 6), "ShareKeys"))
    outcome = outcome_of(replace(setup, plans=(calm, early_massacre, calm)))
    assert [record.failed is None for record in outcome.records] == [True, False, True]
    assert outcome.stopped is None


def test_rounds_that_fail_before_any_model_is_made_have_no_score() -> None:
    setup = make_setup(config())
    calm = RoundPlan({}, dict.fromkeys(range(1, 11), 1.0), 60.0)
    massacre = replace(calm, dropouts=dict.fromkeys(range(1, 6), "MaskedInput"))
    setup = replace(setup, plans=(massacre, massacre, calm))
    outcome = outcome_of(setup)
    assert [(record.auc, record.plain_accuracy) for record in outcome.records[:2]] == [(None, None)] * 2
    assert outcome.records[2].auc is not None
    assert any("2 round(s) failed (1, 2)" in warning for warning in warnings_of(setup, outcome))


def test_training_stops_before_the_budget_is_exceeded() -> None:
    result = run(config(rounds=10, dropouts=0, slow_sites=0, noise_multiplier=4.0, epsilon=1.5))
    assert 0 < len(result.rounds) < 10
    assert max(value or 0 for value in result.epsilon.values()) <= 1.5
    assert any("the budget ε = 1.5 is spent" in warning for warning in result.warnings)


def test_the_context_binds_model_settings_and_codec_but_not_the_round() -> None:
    setup = make_setup(config())
    params, how, codec = setup.initial, setup.how, setup.codec.digest
    name, array = next(iter(params.items()))
    nudged = params | {name: np.nextafter(array, 1)}
    reshaped = params | {name: array.reshape(-1)}
    others = [
        context_digest(nudged, how, codec),
        context_digest(reshaped, how, codec),
        context_digest(params, replace(how, learning_rate=1.0), codec),
        context_digest(params, how, bytes(32)),
    ]
    assert len({context_digest(params, how, codec), *others}) == 5


def test_the_seed_fixes_data_and_faults_but_not_noise() -> None:
    first, second = run(config()), run(config())
    assert [site.rows for site in first.sites] == [site.rows for site in second.sites]
    assert [record.dropped for record in first.rounds] == [record.dropped for record in second.rounds]
    assert first.alone == second.alone
    assert first.secure != second.secure


def test_insecure_deterministic_repeats_everything_and_says_so_first() -> None:
    first, second = (run(config(rounds=2, insecure_deterministic=True)) for _ in range(2))
    assert (first.secure, first.plain) == (second.secure, second.plain)
    assert [r.codec_error for r in first.rounds] == [r.codec_error for r in second.rounds]
    assert first.warnings[0].startswith("INSECURE-DETERMINISTIC")


def test_without_privacy_weights_and_metrics_ride_in_the_sum() -> None:
    result = run(config(epsilon=None))
    assert result.derived["weight_max"] == 8 * result.derived["public_size"]
    assert set(result.epsilon.values()) == {None}
    assert result.delta is None
    losses = [record.loss for record in result.rounds]
    assert all(loss is not None and 0 < loss < 10 for loss in losses)
    assert any("No differential privacy" in warning for warning in result.warnings)


def test_under_privacy_neither_weights_nor_metrics_leave_a_site() -> None:
    setup = make_setup(config())
    assert setup.codec.weight_max is None
    assert not setup.codec.metrics
    assert setup.codec.length == setup.codec.layout.size


def test_a_weight_above_the_cap_counts_as_the_cap() -> None:
    result = run(config(rounds=1, epsilon=None, weight_max=20))
    assert any("more training rows than weight_max = 20" in warning for warning in result.warnings)


def test_a_users_own_table_with_its_own_sites(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    lines = ["clinic,age,pressure,smoker,outcome"]
    for i in range(240):
        age, pressure, smoker = rng.normal(60, 10), rng.normal(130, 20), rng.choice(["yes", "no", ""])
        sick = age + pressure / 2 + 10 * (smoker == "yes") + rng.normal(0, 8) > 128
        lines.append(f"{'abcd'[i % 7 % 4]},{age:.1f},{pressure:.1f},{smoker},{'ill' if sick else 'healthy'}")
    file = tmp_path / "patients.csv"
    file.write_text("\n".join(lines), encoding="utf-8")
    result = run(config(csv=file, target="outcome", site_column="clinic", dropouts=0))
    assert [site.name for site in result.sites] == ["a", "b", "c", "d"]
    assert result.classes == ("healthy", "ill")
    assert len(result.warnings) == 2  # ranges and public_size were taken from the rows
    assert result.secure.auc > 0.6
    dealt = run(config(csv=file, target="outcome", institutions=5, ignore=("clinic",)))
    assert len(dealt.sites) == 5


def test_what_cannot_work_is_refused_before_any_training(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="569 rows are too few for 200 institutions"):
        run(config(institutions=200))
    with pytest.raises(InputError, match="cannot write the report to"):
        run(config(report=tmp_path / "nowhere" / "report.html"))


def test_progress_counts_up_to_its_total() -> None:
    heard: list[tuple[int, int, str]] = []
    run(config(), progress=lambda done, total, text: heard.append((done, total, text)))
    assert [done for done, _, _ in heard] == sorted(done for done, _, _ in heard)
    assert heard[-1][:2] == (7, 7)
    assert sum("in the sum" in text for _, _, text in heard) == 4
