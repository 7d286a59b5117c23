"""What attacks on clinical rows share: a table, and a small network with the gradient of each row."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from secagg.extras import needed
from secagg_protocols import InputError

from ..attack import Effort
from ..defence import Defence
from ..released import Floats

Labels = NDArray[np.int64]

HIDDEN = 32


@dataclass(frozen=True)
class Table:
    """Rows in an order that the seed gives, their values in [-1, 1]."""

    x: Floats
    y: Labels

    @classmethod
    def of(cls, effort: Effort, seed: int) -> Table:
        """Return the user's rows, or scikit-learn's breast-cancer data."""
        if effort.records is not None:
            x, y = effort.records.x, effort.records.y
        else:
            with needed("train"):
                from sklearn.datasets import load_breast_cancer
            found = load_breast_cancer()
            x, y = scaled(found.data), 1 - found.target.astype(np.int64)  # 1: malignant
        order = np.random.default_rng([seed, 0]).permutation(len(x))
        return cls(x[order], y[order])

    def __len__(self) -> int:
        return len(self.y)

    def __getitem__(self, rows: slice | NDArray[np.integer]) -> Table:
        return Table(self.x[rows], self.y[rows])

    def enough(self, attacked: int, beside: int, what: str) -> None:
        """Raise `InputError` where there are fewer rows than are attacked, and as many more as `what` says."""
        if attacked + beside > len(self):
            raise InputError(
                f"the table is too small: {attacked} rows are attacked, and at least {beside} more are {what}, "
                f"{attacked + beside} in all; it has {len(self)}"
            )


def deviation(defence: Defence) -> float:
    """Return the standard deviation of the noise in a released sum."""
    noise = defence.noise
    if noise is None:
        return 0.0
    return noise.multiplier * noise.clip * (math.sqrt(defence.sites) if noise.mode == "local" else 1.0)


def scaled(x: Floats) -> Floats:
    """Return columns scaled to [-1, 1]."""
    low, high = x.min(axis=0), x.max(axis=0)
    spread: Floats = 2 * (x - low) / (high - low) - 1
    return spread


@dataclass(frozen=True)
class Network:
    """One hidden layer of ReLU neurons, and one logit: a model as it is sent in the first round."""

    hidden: Floats
    out: Floats

    @classmethod
    def fresh(cls, features: int, rng: np.random.Generator) -> Network:
        """Draw weights; biases start at 0."""
        return cls(
            rng.normal(size=(features, HIDDEN)) * np.sqrt(2 / features), rng.normal(size=HIDDEN) / np.sqrt(HIDDEN)
        )

    def gradients(self, rows: Table) -> Floats:
        """Return each row's gradient of the logistic loss: hidden weights and biases, then the logit's."""
        before = rows.x @ self.hidden
        active = np.maximum(before, 0)
        slope = 1 / (1 + np.exp(-active @ self.out)) - rows.y
        back = slope[:, None] * (before > 0) * self.out
        weights = rows.x[:, :, None] * back[:, None, :]
        last = slope[:, None] * active
        return np.concatenate([weights.reshape(len(rows), -1), back, last, slope[:, None]], axis=1)


@dataclass(frozen=True)
class Groups:
    """What gradients of groups of rows are like. means: (groups, values). spread: of a row about its group's mean."""

    means: Floats
    spread: Floats

    @classmethod
    def of(cls, gradients: Floats, groups: Labels) -> Groups:
        """Learn it from rows whose groups, 0, 1, …, are known."""
        means = np.array([gradients[groups == group].mean(axis=0) for group in range(int(groups.max()) + 1)])
        return cls(means, (gradients - means[groups]).std(axis=0))

    def shares(self, update: Floats, rows: int, noise: float) -> Floats:
        """Return the shares of groups of which an update of so many rows is made, as far as their means explain it."""
        loudness = np.sqrt(rows * self.spread**2 + noise**2)
        weights = 1 / np.maximum(loudness, 1e-3 * loudness.max())
        counts = np.maximum(np.linalg.lstsq((self.means * weights).T, update * weights, rcond=None)[0], 0)
        if not counts.any():
            return np.full(len(counts), 1 / len(counts))
        shares: Floats = counts / counts.sum()
        return shares
