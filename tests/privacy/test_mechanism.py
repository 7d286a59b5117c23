"""The claims of docs/privacy.md, recomputed: sums of discrete Gaussians, what they are worth, what is charged."""

import math

import numpy as np
import pytest

from secagg import Bfv, Bonawitz, ParameterError, Plain
from secagg.privacy.mechanism import LEAKAGE, PROOF_VARIANCE, Mechanism, opened_with
from secagg.privacy.plan import Wanted, plan
from secagg.privacy.views import COLLUDING, FELLOW, RELEASED, SERVER, TOO_MANY, Release, epsilon, epsilons
from secagg_bench.privacy.exactness import exact_delta, off_by

dp_accounting = pytest.importorskip("dp_accounting")


@pytest.mark.parametrize("sigma", [2.0, 3.0, 16.0])
@pytest.mark.parametrize("participants", [2, 10])
def test_the_sum_of_parts_is_one_discrete_gaussian(participants, sigma):
    centres = np.random.default_rng(participants).uniform(-3, 3, participants).tolist()
    assert off_by(centres, [sigma] * participants) <= 1e-12


def test_of_rounding_and_integer_noise_as_well():
    centres = np.random.default_rng(5).uniform(-3, 3, 10).tolist()
    assert off_by([x for centre in centres for x in (centre, 0)], [2.0, math.sqrt(252)] * 10) <= 1e-12


def test_narrow_parts_are_none_which_is_why_they_are_refused():
    assert off_by([0.3, 0.4], [1.0, 1.0]) > 1e-5


@pytest.mark.parametrize("deviation", [3.0, 6.0, 50.6])
@pytest.mark.parametrize("shift", [lambda deviation: deviation, lambda deviation: 0.37 * deviation + 0.123])
@pytest.mark.parametrize("eps", [0.5, 1.0, 3.0])
def test_the_discrete_mechanism_is_no_worse_than_the_gaussian_it_is_accounted_as(deviation, shift, eps):
    moved = shift(deviation)
    exact = exact_delta(eps, deviation, moved)
    multiplier = math.sqrt(deviation**2 - PROOF_VARIANCE) / moved
    # δ of the Gaussian mechanism at ε, from ε at δ: what is looked for lies between.
    assert dp_accounting.get_epsilon_gaussian(multiplier, exact) >= eps * (1 - 1e-6)


def test_rounding_to_the_grid_moves_two_vectors_no_further_apart_than_is_charged():
    mechanism = Mechanism(10, 5_000, 1.0, 1.0, 8)
    rng = np.random.default_rng(1)
    direction = rng.normal(size=5_000)
    apart = direction / np.linalg.norm(direction) * mechanism.scale
    worst = 0.0
    for _ in range(300):
        base, dither = rng.normal(size=5_000), rng.integers(0, 1 << 16, 5_000) / (1 << 16)
        moved = np.floor((base + apart) * 256 + dither) - np.floor(base * 256 + dither)
        worst = max(worst, float(np.linalg.norm(moved)) / 256)
    assert mechanism.scale < worst < mechanism.sensitivity
    assert mechanism.sensitivity < 1.02 * mechanism.scale
    assert LEAKAGE < 1e-15


# --- ε


@pytest.mark.parametrize(("bits", "most"), [(8, 4.39), (10, 4.380), (12, 4.378), (16, 4.378)])
def test_few_bits_cost_hardly_any_epsilon(bits, most):
    mechanism = Mechanism(10, 10_000, 1.0, 1.0, bits)
    (spent,) = {epsilons([Release(mechanism)], 1e-5)[view] for view in (RELEASED, SERVER)}
    assert 4.37717 < spent <= most


@pytest.mark.parametrize(("missing", "expected"), [(0, 8.596), (1, 9.166), (2, 9.852), (3, 10.699), (5, 13.207)])
def test_what_missing_noise_costs_over_fifty_rounds(missing, expected):
    assert math.isclose(epsilon([4 * math.sqrt(1 - missing / 10)] * 50, 1e-5), expected, rel_tol=1e-3)


def test_unequal_rounds_compose():
    """Compared with the privacy loss distribution of each."""
    accountant = dp_accounting.pld.PLDAccountant(value_discretization_interval=1e-4)
    for multiplier in (3.0, 5.0, 8.0):
        accountant.compose(dp_accounting.GaussianDpEvent(multiplier))
    assert math.isclose(epsilon([5.0, 3.0, 8.0], 1e-5), accountant.get_epsilon(1e-5), rel_tol=1e-4)


def test_sampled_rounds_cost_less_and_compose():
    sampled = epsilon([1.0] * 10, 1e-5, sampling_rate=0.1)
    assert sampled < epsilon([1.0], 1e-5) < epsilon([1.0] * 10, 1e-5)


@pytest.mark.parametrize("colluders", [0, 1, 2])
def test_the_target_is_met_whatever_the_number_of_dropouts_and_more_colluders_see_more(colluders):
    made = plan(Wanted(8.0, 1e-3, 10, participants=10, length=1000, tolerated=2, colluders=colluders, value_bits=12))
    for views in made.epsilons.values():
        assert 7.99 < views[COLLUDING] <= 8.0
        assert views[SERVER] == views[RELEASED] <= views[COLLUDING]
        assert views[FELLOW] >= views[SERVER]
        assert views[TOO_MANY] is None or views[TOO_MANY] > views[COLLUDING]


def test_where_nothing_comes_off_fewer_dropouts_leave_more_noise():
    made = plan(Wanted(3.0, 1e-5, 5, participants=10, length=1000, tolerated=3, value_bits=12, layered=False))
    spent = [views[COLLUDING] for views in made.epsilons.values()]
    assert spent == sorted(spent)
    assert spent[-1] <= 3.0


def test_the_fewest_bits_are_planned_that_hold_the_noise_without_much_more_of_it():
    wanted = Wanted(8.0, 1e-3, 1, participants=10, length=200_000)
    made = plan(wanted)
    assert 8 <= made.mechanism.value_bits <= 10
    assert made.bytes_per_value <= 1.8
    fine = plan(Wanted(8.0, 1e-3, 1, participants=10, length=200_000, value_bits=16))
    assert made.mechanism.multiplier <= 1.001 * fine.mechanism.multiplier


def test_who_opens_every_vector_sees_each_with_its_own_noise_alone():
    """Plain's server does, that of one group key with any participant; no view of bonawitz has its threshold."""
    assert [opened_with(kind(10, 5)) for kind in (Plain, Bfv, Bonawitz)] == [0, 1, 6]
    for colluders, opens, alone in ((0, 0, {SERVER, COLLUDING}), (1, 1, {COLLUDING}), (2, 6, set())):
        made = Release(Mechanism(10, 100, 1.0, 1.0, 12, 0, colluders, opened_with=opens)).multipliers()
        assert {view for view in (SERVER, COLLUDING) if made[view] == made[TOO_MANY]} == alone


def test_two_sums_over_one_lot_are_one_mechanism_of_less_noise():
    """As if they were over lots of their own, ε would come out less than half of what it is."""
    mechanism = Mechanism(10, 100, 1.0, 1.0, 16)
    twice = epsilons([Release(mechanism, sums=2)], 1e-5, sampling_rate=0.05)[SERVER]
    assert 2.58 < twice < 2.60
    assert epsilons([Release(mechanism)] * 2, 1e-5, sampling_rate=0.05)[SERVER] < twice / 2


@pytest.mark.parametrize("multiplier", [math.nan, math.inf, -1.0])
def test_a_multiplier_that_is_none_is_refused(multiplier):
    with pytest.raises(ParameterError, match="noise multiplier"):
        epsilon([multiplier], 1e-5)
    with pytest.raises(ParameterError, match="negative"):
        Release(Mechanism(10, 100, 1.0, 1.0, 12), -1).multipliers()


def test_what_the_scheme_itself_may_fail_by_is_charged():
    asked = {"epsilon": 4.0, "delta": 1e-5, "rounds": 1, "participants": 10, "length": 100, "value_bits": 12}
    sure, unsure = (plan(Wanted(**asked, statistical_bits=bits)).mechanism.multiplier for bits in (None, 25))
    assert unsure > sure * 1.005


def test_what_cannot_be_known_is_unbounded_and_no_number():
    assert epsilon([1.0], 1e-5, failing=1e-5) is None
    assert epsilon([0.0], 1e-5) is None
    assert epsilon([], 1e-5) == 0.0
    assert epsilon([1.0], 1e-5, failing=1e-9) > epsilon([1.0], 1e-5)


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"epsilon": 0.0}, "epsilon=0.0"),
        ({"epsilon": 101.0}, "at most 100"),
        ({"delta": 0.0}, "delta=0.0"),
        ({"delta": 0.4}, "at most 0.001"),
        ({"rounds": 0}, "rounds=0"),
        ({"tolerated": 8, "colluders": 1}, "fewer than 2"),
        ({"value_bits": 4}, "value_bits=[0-9]+ is the least that works"),
        ({"clip": -1.0}, "clip=-1.0"),
        ({"sampling_rate": 1.5}, "sampling_rate=1.5 is not above 0 and at most 1"),
        ({"epsilon": 1e-6, "delta": 1e-9, "rounds": 10_000}, "raise epsilon"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_what_cannot_be_planned_is_refused_with_the_remedy(wrong, why):
    asked = {"epsilon": 8.0, "delta": 1e-3, "rounds": 10, "participants": 10, "length": 100}
    with pytest.raises(ParameterError, match=why):
        plan(Wanted(**(asked | wrong)))
