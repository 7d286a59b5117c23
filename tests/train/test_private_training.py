"""Local training: the sensitivity, the noise and the bounds that everything else relies on."""

import numpy as np
import pytest
import torch
from scipy import stats

from secagg.train.dpsgd import clipped_sum
from secagg.train.examples import Examples
from secagg.train.fedavg import LocalTraining, largest_coordinate, local_update
from secagg.train.model import Model, Params, tensors
from secagg.train.stream import SiteStream

RNG = np.random.default_rng(7)
X, Y = RNG.normal(size=(40, 5)) * 3, RNG.integers(0, 2, 40)
ALL = Examples.of(X, Y)
SECRET = bytes(range(32))


def stream(site: int = 1, number: int = 1) -> SiteStream:
    return SiteStream(SECRET, site, number)


def training(**changes: float | None) -> LocalTraining:
    settings = {
        "steps": 3, "sampling_rate": 0.5, "learning_rate": 0.5, "clip_norm": 0.2,
        "prox_mu": 0.0, "noise_multiplier": 0.0, "lot_size": 20.0,
    }  # fmt: skip
    return LocalTraining(**(settings | changes))  # type: ignore[arg-type]


def flat(params: Params) -> np.ndarray:
    return np.concatenate([array.ravel() for array in params.values()])


def delta(how: LocalTraining, kind: str = "mlp", source: SiteStream | None = None) -> np.ndarray:
    model = Model(kind, 5, 4)
    return flat(local_update(model, model.initial(np.random.default_rng(0)), ALL, how, source or stream()).delta)


@pytest.mark.parametrize("kind", ["logistic", "mlp"])
def test_one_row_changes_the_clipped_sum_by_at_most_the_clip(kind: str) -> None:
    model = Model(kind, 5, 4)
    params = tensors(model.initial(np.random.default_rng(0)))
    whole = clipped_sum(model, params, ALL, 0.2)
    for row in range(len(Y)):
        rest = np.arange(len(Y)) != row
        without = clipped_sum(model, params, Examples.of(X[rest], Y[rest]), 0.2)
        change = torch.cat([(whole[name] - without[name]).flatten() for name in whole])
        assert change.norm() <= 0.2 + 1e-12


def test_without_clipping_the_sum_is_the_ordinary_gradient() -> None:
    model = Model("mlp", 5, 4)
    params = {name: t.requires_grad_() for name, t in tensors(model.initial(np.random.default_rng(0))).items()}
    loss = torch.nn.functional.binary_cross_entropy_with_logits(model.logits(params, ALL.x), ALL.y, reduction="sum")
    expected = dict(zip(params, torch.autograd.grad(loss, list(params.values())), strict=True))
    found = clipped_sum(model, {name: t.detach() for name, t in params.items()}, ALL, 1e9)
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient)


def test_noise_has_the_stated_deviation_and_is_gaussian() -> None:
    quiet, noisy = training(steps=1), training(steps=1, noise_multiplier=3.0)
    draws = np.concatenate(
        [delta(noisy, "mlp", stream(number=n)) - delta(quiet, "mlp", stream(number=n)) for n in range(150)]
    )
    deviation = 0.5 * 3.0 * 0.2 / 20
    assert draws.std() == pytest.approx(deviation, rel=0.05)
    assert stats.kstest(draws / deviation, "norm").pvalue > 1e-4


def test_normals_and_lots_follow_their_distributions() -> None:
    source = stream()
    assert stats.kstest(source.normal(20_001), "norm").pvalue > 1e-4
    lots = [len(source.poisson_lot(100, 0.3)) for _ in range(2000)]
    assert np.mean(lots) == pytest.approx(30, abs=0.5)
    assert np.var(lots) == pytest.approx(21, rel=0.15)
    assert len(source.poisson_lot(100, 1.0)) == 100


def test_streams_differ_by_secret_site_and_round_and_repeat_otherwise() -> None:
    draws = [
        SiteStream(secret, site, number).uniform(4).tolist()
        for secret in (SECRET, bytes(32))
        for site in (1, 2)
        for number in (1, 2)
    ]
    assert len({tuple(draw) for draw in draws}) == len(draws)
    assert stream().uniform(4).tolist() == draws[0]


def test_training_takes_nothing_from_the_global_generators() -> None:
    torch.manual_seed(1)
    first = delta(training(noise_multiplier=1.0))
    torch.manual_seed(2)
    assert (delta(training(noise_multiplier=1.0)) == first).all()


def test_the_divisor_is_the_public_constant_not_the_lot() -> None:
    once, twice = delta(training(steps=1, lot_size=20.0)), delta(training(steps=1, lot_size=40.0))
    np.testing.assert_allclose(once, 2 * twice)


def test_a_site_whose_lot_is_empty_still_answers_with_noise() -> None:
    model = Model("logistic", 5, 4)
    start = model.initial(np.random.default_rng(0))
    how = training(sampling_rate=1e-12, noise_multiplier=1.0)
    assert np.abs(flat(local_update(model, start, ALL, how, stream()).delta)).min() > 0


@pytest.mark.parametrize("prox_mu", [0.0, 0.5, 2.0])
@pytest.mark.parametrize("noise", [0.0, 2.0])
def test_no_update_exceeds_the_bound_from_which_the_codec_takes_its_clip(prox_mu: float, noise: float) -> None:
    how = training(prox_mu=prox_mu, noise_multiplier=noise, sampling_rate=1.0)
    for number in range(20):
        assert np.abs(delta(how, "mlp", stream(number=number))).max() <= largest_coordinate(how, len(Y))


def test_fedprox_stays_closer_to_the_global_model_and_zero_is_fedavg() -> None:
    near, far = delta(training(steps=20, prox_mu=1.0)), delta(training(steps=20, prox_mu=0.0))
    assert np.linalg.norm(near) < 0.7 * np.linalg.norm(far)


def test_a_large_lot_is_summed_in_parts() -> None:
    model = Model("logistic", 5, 4)
    params = tensors(model.initial(np.random.default_rng(0)))
    once = clipped_sum(model, params, ALL, 0.2)
    for name, total in clipped_sum(model, params, Examples.of(np.tile(X, (250, 1)), np.tile(Y, 250)), 0.2).items():
        torch.testing.assert_close(total, 250 * once[name])


def test_nothing_secret_is_in_a_repr() -> None:
    update = local_update(Model("logistic", 5, 4), Model("logistic", 5, 4).initial(RNG), ALL, training(), stream())
    assert repr(update) == "Update()"
    assert repr(stream()) == "SiteStream(<redacted>)"
