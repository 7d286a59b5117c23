"""ε: the published check values, the calibration, and what is charged to whom."""

import pytest

from secagg.train.accounting import Ledger, Mechanism, epsilon, epsilon_together, noise_for
from secagg.train.privacy import LEAST_DELTA, Privacy
from secagg_protocols.errors import ParameterError


@pytest.mark.parametrize(
    ("noise", "rate", "releases", "pld", "rdp"),
    [
        (1.1, 256 / 60_000, 14_040, 2.3796, 2.5944),
        (1.0, 0.01, 1000, 1.8282, 2.1014),
        (5.0, 1.0, 50, 6.5730, 7.0774),
        (1.0, 1.0, 1, 4.3772, 4.7285),
    ],
)
def test_epsilon_agrees_with_the_known_values(noise: float, rate: float, releases: int, pld: float, rdp: float) -> None:
    mechanism = Mechanism(noise, rate, 1)
    assert epsilon(mechanism, releases, 1e-5) == pytest.approx(pld, abs=2e-4)
    assert epsilon(mechanism, releases, 1e-5, "rdp") == pytest.approx(rdp, abs=2e-4)


@pytest.mark.parametrize(("rows", "together"), [(1, 2.997), (3, 10.987), (10, 55.823)])
def test_all_rows_of_one_patient_have_the_known_values(rows: int, together: float) -> None:
    """At the noise for which one row has ε = 3 over twenty rounds of two steps."""
    mechanism = Mechanism(4.55859375, 0.5, 2)
    assert epsilon_together(rows, mechanism, 20, 1e-5) == pytest.approx(together, rel=1e-3)


def test_without_sampling_rows_together_are_one_gaussian_of_less_noise() -> None:
    assert epsilon_together(3, Mechanism(6, 1.0, 1), 2, 1e-5) == epsilon(Mechanism(2, 1.0, 1), 2, 1e-5)


@pytest.mark.parametrize("delta", [1e-9, LEAST_DELTA])
def test_down_to_the_least_delta_that_is_taken_noise_does_not_jump(delta: float) -> None:
    mechanism = Mechanism(4.55859375, 0.5, 2)
    assert epsilon(mechanism, 20, delta) <= epsilon(mechanism, 20, delta, "rdp")
    assert epsilon(mechanism, 20, delta) < epsilon(mechanism, 20, delta / 10) < 1.1 * epsilon(mechanism, 20, delta)


@pytest.mark.parametrize("rows", [1, 7, 100, 430, 99_999, 10**7])
def test_delta_is_at_most_one_in_the_number_of_rows_and_the_default_fits(rows: int) -> None:
    assert Privacy().with_delta(rows).delta <= min(1e-5, 1 / rows)
    assert Privacy(delta=0.9 / rows).with_delta(rows).delta == 0.9 / rows


def test_a_larger_delta_is_refused_with_the_largest_that_is_taken() -> None:
    with pytest.raises(ParameterError, match=r"delta = 0.01 is above one in 430, .* use --delta 0.0023 or less"):
        Privacy(delta=0.01).with_delta(430)
    assert Privacy(delta=0.0023).with_delta(430).delta == 0.0023
    with pytest.raises(ParameterError, match="use a smaller --public-size"):
        Privacy(public_size=10**9).with_delta(10**13)


def test_steps_of_a_round_compose_like_rounds() -> None:
    assert epsilon(Mechanism(4, 0.5, 2), 10, 1e-5) == epsilon(Mechanism(4, 0.5, 1), 20, 1e-5)


@pytest.mark.parametrize(("target", "rate"), [(0.5, 0.5), (3.0, 0.5), (8.0, 1.0), (50.0, 1.0)])
def test_the_least_noise_meets_the_target_and_a_little_less_does_not(target: float, rate: float) -> None:
    noise = noise_for(target, 1e-5, rate, steps=2, rounds=10)
    assert epsilon(Mechanism(noise, rate, 2), 10, 1e-5) <= target
    assert epsilon(Mechanism(noise * 0.99, rate, 2), 10, 1e-5) > target


def test_an_unreachable_target_is_refused() -> None:
    with pytest.raises(ParameterError, match="raise epsilon or train fewer rounds"):
        noise_for(1e-5, 1e-12, 1.0, steps=1, rounds=100)


def test_the_ledger_reports_the_site_charged_most() -> None:
    ledger = Ledger(Mechanism(4, 1.0, 1), 1e-5)
    assert ledger.epsilon() == 0
    for sites in ({1, 2}, {1, 3}, {1, 2}):
        ledger.charge(sites)
    assert [ledger.rounds_of(site) for site in (1, 2, 3, 4)] == [3, 2, 1, 0]
    assert ledger.epsilon() == epsilon(Mechanism(4, 1.0, 1), 3, 1e-5)
    assert (ledger.worst_after({2, 3}), ledger.worst_after({1})) == (3, 4)


def test_without_a_mechanism_there_is_no_epsilon() -> None:
    assert Ledger(None, 1e-5).epsilon() is None
