"""What `secagg bench attacks` says of sites and patients: its scores, and findings that stand in the docs."""

import numpy as np
import pytest

from secagg_bench.attacks.attack import Effort
from secagg_bench.attacks.defence import DEFENCES, Defence
from secagg_bench.attacks.inference.clinical import Groups, Network, Table
from secagg_bench.attacks.inference.disaggregation import columns
from secagg_bench.attacks.inference.label_prevalence import LabelPrevalence
from secagg_bench.attacks.inference.multi_round import MultiRound
from secagg_bench.attacks.inference.patient_rows import PatientRows
from secagg_bench.attacks.inference.poisoner import Poisoned
from secagg_bench.attacks.inference.scores import area, true_positives
from secagg_protocols import InputError

NAMED = {defence.name: defence for defence in DEFENCES}
EFFORT = Effort((0,), quick=True)


def test_scores_of_two_gaussians_are_those_of_the_books():
    rng = np.random.default_rng(0)
    members, others = rng.normal(1, 1, 20_000), rng.normal(0, 1, 20_000)
    assert true_positives(members, others, 0.01) == pytest.approx(0.0924, abs=0.01)
    assert area(members, others) == pytest.approx(0.7602, abs=0.01)


def test_a_gradient_is_the_loss_s():
    rng = np.random.default_rng(0)
    rows = Table(rng.uniform(-1, 1, (3, 4)), np.array([0, 1, 1]))
    network = Network.fresh(4, rng)
    step = 1e-6

    def loss(hidden):
        logits = np.maximum(rows.x @ hidden, 0) @ network.out
        return np.logaddexp(0, logits) - rows.y * logits

    numerical = []
    for weight in np.ndindex(network.hidden.shape):
        moved = network.hidden.copy()
        moved[weight] += step
        numerical.append((loss(moved) - loss(network.hidden)) / step)
    np.testing.assert_allclose(network.gradients(rows)[:, : network.hidden.size].T, numerical, atol=1e-5)


def test_the_shares_of_a_mixture_come_back_from_its_sum():
    rng = np.random.default_rng(0)
    gradients = rng.normal(size=(400, 30))
    gradients[200:] += 1
    groups = Groups.of(gradients, np.repeat([0, 1], 200))
    update = 30 * groups.means[0] + 10 * groups.means[1]
    np.testing.assert_allclose(groups.shares(update, 40, 0.0), [0.75, 0.25], atol=1e-6)


def test_who_was_in_which_sum_is_found_from_the_sums():
    rng = np.random.default_rng(0)
    present = (rng.random((40, 8)) < 0.5).astype(np.float64)
    found = columns(present @ rng.normal(size=(8, 50)), 8)
    assert {tuple(column) for column in found.T} == {tuple(column) for column in present.T}


def test_noise_over_rows_does_not_hide_a_patient_with_eight_of_them():
    by_row, by_patient = (PatientRows().run(NAMED[name], 0, EFFORT).value for name in ("row-dp", "patient-dp"))
    assert by_row > 0.99
    assert by_patient < 0.8


def test_masks_do_not_keep_apart_what_twenty_rounds_say_together_and_a_large_cohort_dilutes_it():
    few, many = (MultiRound().run(NAMED[name], 0, EFFORT).value for name in ("bonawitz", "minimum-cohort"))
    assert few > 0.9
    assert many < 0.6


def test_one_site_sets_the_mean_within_the_clip_and_no_further():
    poisoned = Poisoned.of(Defence("", "", "bonawitz"), 0, 0.1)
    assert poisoned.within() <= 2 * 0.1 / 16
    assert 0.1 < poisoned.beyond() <= 2 * 0.1


def test_a_table_that_is_too_small_is_said_with_its_rows():
    with pytest.raises(
        InputError, match=r"96 rows are attacked, and at least 600 more are known, 696 in all; it has 569"
    ):
        Table.of(EFFORT, 0).enough(96, 600, "known")
    assert LabelPrevalence().run(NAMED["none"], 1, EFFORT).value > 0.9
