"""What privacy costs a model: the AUC of `secagg train` without noise, with each site's own, and with noise shared."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from multiprocessing import get_context
from statistics import mean, stdev
from typing import Any

import torch

from secagg.train import TrainConfig
from secagg.train.evaluate import held_out, score
from secagg.train.rounds import federate
from secagg.train.setup import make_setup

from .accounting import DELTA
from .rows import Row

PART = "utility"
WORKERS = 2
EPSILONS = (8.0, 3.0, 1.0)
INSTITUTIONS_DELTA = 1e-3

STAGED = {"institutions": 10, "dropouts": 2, "slow_sites": 0, "report": None, "insecure_deterministic": True}
"""Of every training. Noise follows the seed too, so that a figure can be found again."""

NONE = {"dp": "none", "rounds": 20, "local_steps": 2}
PRIVATE: Mapping[tuple[str, str], Mapping[str, Any]] = {
    ("local", "row"): {"dp": "local", "rounds": 20, "local_steps": 2, "delta": DELTA},
    ("distributed", "row"): {"dp": "distributed", "rounds": 40, "local_steps": 1, "delta": DELTA},
    ("distributed", "institution"): {
        "dp": "distributed",
        "unit": "institution",
        "rounds": 10,
        "local_steps": 10,
        "delta": INSTITUTIONS_DELTA,
    },
}
"""(mode, unit) → how a model is trained under such noise."""

LOST = 0.01
"""AUC that shared noise over rows may cost at ε = 1."""

INSTITUTIONS_LEAST = {"breast-cancer": 0.97, "digits": 0.90}
"""AUC at ε = 8, at the least."""


Train = Callable[[Iterable[TrainConfig]], Iterable[float]]
"""Settings → AUC of each training."""


def utility(seeds: int) -> Iterator[Row]:
    """Train in several processes, and yield what `figures` does."""
    with in_processes() as train:
        yield from figures(seeds, train)


@contextmanager
def in_processes() -> Iterator[Train]:
    """Yield what trains in several processes, each with one thread."""
    with ProcessPoolExecutor(WORKERS, get_context("spawn"), torch.set_num_threads, (1,)) as pool:
        yield partial(pool.map, auc_of)


def aucs(train: Train, seeds: int, **settings: Any) -> Sequence[float]:
    """Return the AUC of a training with each of so many seeds: those of splits, dropouts, first model and noise."""
    return list(train(TrainConfig.of(seed=seed, **{**STAGED, **settings}) for seed in range(seeds)))


def figures(seeds: int, train: Train) -> Iterator[Row]:
    """Yield mean AUC over so many seeds, and its standard deviation, for each data set, kind of noise and ε."""
    for dataset in INSTITUTIONS_LEAST:
        plain = aucs(train, seeds, dataset=dataset, **NONE)
        yield from _rows(f"{dataset}: no noise", plain)
        for kind, settings in PRIVATE.items():
            for epsilon in EPSILONS:
                found = aucs(train, seeds, dataset=dataset, **settings, epsilon=epsilon)
                yield from _rows(
                    f"{dataset}: {', '.join(kind)}, ε = {epsilon:g}", found, _least(dataset, kind, epsilon, plain)
                )


def _least(dataset: str, kind: tuple[str, str], epsilon: float, plain: Sequence[float]) -> float:
    """Return the mean AUC that is claimed, −∞ for none: most figures are told as they are, the bad ones too."""
    if kind == ("distributed", "row") and epsilon == 1:
        return mean(plain) - LOST
    if kind == ("distributed", "institution") and epsilon == 8:
        return INSTITUTIONS_LEAST[dataset]
    return -math.inf


def _rows(what: str, aucs: Sequence[float], least: float = -math.inf) -> Iterator[Row]:
    yield Row(PART, f"{what}: AUC, mean of {len(aucs)} seeds", mean(aucs), least)
    yield Row(PART, f"{what}: its standard deviation", stdev(aucs))


def auc_of(config: TrainConfig) -> float:
    """Train, and return how the secure model does on everyone's held-out rows."""
    setup = make_setup(config)
    trained = federate(setup, lambda number, line: None)
    return score(setup.model, trained.secure, *held_out(setup.data, setup.silos)).auc
