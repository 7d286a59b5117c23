"""What rebuilds records: which noise stops which attack, and the steps that each stands on."""

from dataclasses import replace

import numpy as np
import pytest

from secagg_bench.attacks.attack import Effort, Records
from secagg_bench.attacks.defence import DEFENCES, Defence, Noise
from secagg_bench.attacks.records.attributes import agreement
from secagg_bench.attacks.records.dlg import Dlg, alone
from secagg_bench.attacks.records.imprint import Imprint
from secagg_bench.attacks.records.likeness import psnr, recovered
from secagg_bench.attacks.records.material import Material, digits
from secagg_bench.attacks.records.readout import TabularReadout, read
from secagg_bench.attacks.records.traps import TrapWeights

NAMED = {defence.name: defence for defence in DEFENCES}
EFFORT = Effort((0,), quick=True)


def test_noise_that_stops_inversion_does_not_stop_a_trap():
    noise = 0.01
    inverted = Dlg().run(alone(noise), 0, EFFORT)
    assert inverted.value < inverted.baseline
    summed = Defence("", "", "bonawitz", noise=Noise("distributed", "row", noise))
    trapped = TrapWeights().run(summed, 0, EFFORT)
    assert trapped.value > 25
    assert trapped.baseline < 13


def test_the_class_of_a_row_is_in_the_gradient_of_the_last_bias():
    inversion = pytest.importorskip("secagg_bench.attacks.records.inversion")
    networks = pytest.importorskip("secagg_bench.attacks.records.networks")
    material = Material.of(EFFORT, 0, digits)
    model = networks.fresh(networks.sigmoid_cnn, 64, 10, 0)
    rows = networks.row_gradients(model, material.x[:20], material.y[:20]).astype(np.float32)
    for row, label in zip(networks.torch.from_numpy(rows), material.y, strict=False):
        assert inversion.classes_in(model, row, 1, material.public, 10).tolist() == [label]


def test_two_neurons_give_away_a_row_that_activates_one_of_them():
    rows = np.array([[0.1, 0.9, 0.4], [0.7, 0.2, 0.6]])
    slopes = np.array([0.3, -0.2])
    out = np.array([1.0, -2.0])
    active = np.array([[1, 1], [0, 1]])  # the first neuron by the first row, the second by both
    back = slopes[:, None] * active * out
    update = np.concatenate([(back.T @ rows).ravel(), back.sum(axis=0), np.ones(5)])
    found = read(update, out, 3)
    assert recovered(rows, found, 1e-9).all()
    assert recovered(rows, update[:6].reshape(2, 3) / update[6:8, None], 1e-9).tolist() == [True, False]


def test_each_patient_is_joined_to_one_that_was_made():
    truth = np.array([[0, 0, 1], [1, 1, 1]])
    assert agreement(truth, truth[::-1]) == 1
    assert agreement(truth, truth[[0, 0]]) == pytest.approx(2 / 3)


def test_likeness_is_of_the_nearest_and_no_more_than_anybody_sees():
    truth = np.zeros((2, 4))
    made = np.array([[0.1] * 4, [1.0] * 4])
    assert psnr(truth, made) == pytest.approx(20)
    assert psnr(truth, truth) == 60


def test_of_few_columns_no_row_counts_as_recovered_by_chance():
    rng = np.random.default_rng(0)
    table = Records("two columns", rng.uniform(-1, 1, (300, 2)), rng.integers(0, 2, 300))
    for attack in (Imprint(), TabularReadout()):
        summed, noisy = (attack.run(NAMED[name], 0, replace(EFFORT, records=table)) for name in ("bonawitz", "row-dp"))
        assert noisy.value < 0.1 < summed.value
