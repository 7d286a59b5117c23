"""A score says how sure it is, and what it is held against was given its best chance."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score
from sklearn.preprocessing import StandardScaler

from secagg.train import TrainConfig
from secagg.train.comparisons import Comparisons, compare, how
from secagg.train.evaluate import auc_range, held_out, score_of
from secagg.train.setup import Setup, make_setup


@pytest.fixture(scope="module")
def setup() -> Setup:
    return make_setup(TrainConfig.of(report=None, epsilon=None))


@pytest.fixture(scope="module")
def compared(setup: Setup) -> Comparisons:
    return compare(setup)


def test_all_rows_in_one_place_score_what_scikit_learn_gives(setup: Setup, compared: Comparisons) -> None:
    rows = np.concatenate([silo.train for silo in setup.silos])
    scaler = StandardScaler().fit(setup.data.x[rows])
    model = LogisticRegression(max_iter=1000).fit(scaler.transform(setup.data.x[rows]), setup.data.y[rows])
    x, y = held_out(setup.data, setup.silos)
    assert compared.centralised.accuracy == accuracy_score(y, model.predict(scaler.transform(x)))
    assert compared.centralised.accuracy == pytest.approx(0.972, abs=0.01)
    assert compared.centralised.auc > 0.98
    assert "LogisticRegression" in how(setup)


def test_an_mlp_is_held_against_an_mlp() -> None:
    setup = make_setup(TrainConfig.of(report=None, epsilon=None, model="mlp", hidden=4, institutions=4))
    assert "MLPClassifier" in how(setup)
    assert compare(setup).centralised.auc > 0.97


def test_sites_alone_are_a_median_and_a_range_and_those_of_one_class_are_marked(
    setup: Setup, compared: Comparisons
) -> None:
    aucs = [own.score.auc for own in compared.sites]
    assert compared.alone.auc == np.median(aucs)
    assert compared.alone.auc_range == (min(aucs), max(aucs))
    for silo, own in zip(setup.silos, compared.sites, strict=True):
        labels = {setup.data.classes[label] for label in setup.data.y[silo.train]}
        assert own.only == (labels.pop() if len(labels) == 1 else None)
        assert (own.score.auc == 0.5) == (own.only is not None)
    assert any(own.only for own in compared.sites)


def test_without_a_mistake_among_few_rows_much_is_still_open() -> None:
    low, high = auc_range(1.0, positives=2, negatives=40)
    assert 0.5 < low < 0.9
    assert high == 1.0
    closer, _ = auc_range(1.0, positives=200, negatives=400)
    assert closer > 0.98


@pytest.mark.parametrize("auc", [0.0, 0.3, 0.5, 0.9, 1.0])
def test_an_interval_holds_its_score_and_does_not_care_which_class_is_which(auc: float) -> None:
    low, high = auc_range(auc, 20, 60)
    assert 0 <= low <= auc <= high <= 1
    assert (1 - high, 1 - low) == pytest.approx(auc_range(1 - auc, 60, 20), abs=1e-6)


def test_intervals_hold_the_true_score_as_often_as_they_say() -> None:
    """Two normal distributions whose true AUC is 0.95; a bootstrap of so few rows holds it in two of three draws."""
    rng = np.random.default_rng(1)
    y = np.repeat([1, 0], [4, 40])
    true, apart = 0.95, 2.326
    scores = [score_of(rng.normal(apart * y, 1.0), y) for _ in range(200)]
    held = np.mean([score.auc_range[0] <= true <= score.auc_range[1] for score in scores])
    assert 0.92 <= held <= 1
