"""Gradient inversion: rows are sought whose gradient is the one that was sent. Needs torch: imported where needed.

Each site has one row. The attacker knows the model and how many rows are in the sum, and reads their classes from the
gradient of the last layer's bias. Gradients are compared by direction, so no clip of their norm changes anything.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..defence import Defence, Noise
from ..released import Floats, released
from .material import Material
from .networks import Network, fresh, gradient, row_gradients, train

INVERTED = 2
"""Updates, where the server sees each: one after the other takes its time, and they are alike."""
ASKED = 16
"""Rows of its own that the attacker asks how much a clip takes."""

STARTS = 2
"""For one row alone, where a bad start is the most that can go wrong."""


class Nearest:
    """The rows of a search that came nearest: without a line search, L-BFGS can leap away from them again."""

    def __init__(self) -> None:
        self.distance = float("inf")
        self.rows = torch.empty(0)

    def keep(self, distance: Tensor, rows: Tensor) -> None:
        """Keep these, if they are nearer."""
        if float(distance.detach()) < self.distance:
            self.distance = float(distance.detach())
            self.rows = rows.detach().clone()


Search = Callable[[nn.Module, Tensor, Tensor, Tensor], Nearest]
"""Takes the model, the direction of the gradient, the rows' classes and where to start."""


@dataclass(frozen=True)
class Rebuilt:
    """What was sought, and what the attack made; classes of both."""

    truth: Floats
    truth_y: NDArray[np.int64]
    made: Floats
    made_y: NDArray[np.int64]


@dataclass(frozen=True)
class Inversion:
    """A way to invert: whose gradients, of a model that is fresh or trained, and by which search."""

    network: Network
    search: Search
    trained: bool = False

    def rebuild(self, defence: Defence, material: Material, seed: int) -> Rebuilt:
        """Rebuild the rows of all sites from what is released."""
        sites = material.sites(defence.sites, 1)
        classes = int(max(material.public_y.max(), material.y.max())) + 1
        model = fresh(self.network, material.x.shape[1], classes, seed)
        if self.trained:
            train(model, material.public, material.public_y)
        seen = released(defence, [row_gradients(model, material.x[site], material.y[site]) for site in sites], seed)
        rows = defence.sites if len(seen) == 1 else 1
        grown = unclipped(model, material, defence.noise)
        made, made_y = [], []
        for update in seen[:INVERTED]:
            whole = torch.from_numpy((update * grown).astype(np.float32))
            found = classes_in(model, whole, rows, material.public, classes)
            starts = [torch.rand(rows, material.x.shape[1]) for _ in range(STARTS if rows == 1 else 1)]
            tried = [self.search(model, whole / whole.norm(), found, start) for start in starts]
            made.append(min(tried, key=lambda one: one.distance).rows.numpy())
            made_y.append(found.numpy())
        count = sum(map(len, made))
        return Rebuilt(material.x[:count], material.y[:count], np.concatenate(made), np.concatenate(made_y))


def unclipped(model: nn.Module, material: Material, noise: Noise | None) -> float:
    """Return by how much a sum grows without the clip: as much as one of rows that the attacker has."""
    if noise is None:
        return 1.0
    norms = np.linalg.norm(row_gradients(model, material.public[:ASKED], material.public_y[:ASKED]), axis=1)
    return float(norms.sum() / np.minimum(norms, noise.clip).sum())


def classes_in(model: nn.Module, update: Tensor, rows: int, public: Floats, classes: int) -> Tensor:
    """Return the rows' classes: the bias of a class gets what the model gave it, less one for each row that is of it.

    Of one row, that is the one class whose gradient is negative (Zhao et al. 2020).
    """
    with torch.no_grad():
        expected = model(torch.from_numpy(public.astype(np.float32))).softmax(dim=1).mean(dim=0)
    left = rows * expected - update[-classes:]
    found = []
    for _ in range(rows):
        found.append(int(left.argmax()))
        left[found[-1]] -= 1
    return torch.tensor(sorted(found))


def by_lbfgs(evaluations: int) -> Search:
    """Seek as Zhu et al. do: least squares between gradients, by L-BFGS."""

    def search(model: nn.Module, wanted: Tensor, classes: Tensor, start: Tensor) -> Nearest:
        rows = start.requires_grad_()
        optimiser = torch.optim.LBFGS(
            [rows], max_iter=evaluations, max_eval=evaluations, history_size=20, tolerance_grad=0, tolerance_change=0
        )
        nearest = Nearest()

        def closure() -> Tensor:
            optimiser.zero_grad()
            mine = gradient(model, rows, classes, differentiable=True)
            distance: Tensor = ((mine / mine.norm() - wanted) ** 2).sum()
            distance.backward()  # type: ignore[no-untyped-call]
            nearest.keep(distance, rows)
            return distance

        optimiser.step(closure)  # type: ignore[no-untyped-call]
        return nearest

    return search


def by_cosine(iterations: int, smooth: float, side: int = 0) -> Search:
    """Seek as Geiping et al. do: cosine between gradients, by the signs of its slope, within 0..1.

    smooth: how much neighbouring pixels should be alike, of pictures with so many pixels a side.
    """

    def search(model: nn.Module, wanted: Tensor, classes: Tensor, start: Tensor) -> Nearest:
        rows = start.requires_grad_()
        optimiser = torch.optim.Adam([rows], lr=0.1)
        slower = torch.optim.lr_scheduler.MultiStepLR(optimiser, [iterations * part // 8 for part in (3, 5, 7)], 0.3)
        nearest = Nearest()
        for _ in range(iterations):
            optimiser.zero_grad()
            mine = gradient(model, rows, classes, differentiable=True)
            distance = 1 - (mine @ wanted) / mine.norm().clamp(min=1e-12)
            if smooth:
                distance = distance + smooth * _variation(rows.view(-1, side, side))
            distance.backward()
            nearest.keep(distance, rows)
            if rows.grad is not None:
                rows.grad.sign_()
            optimiser.step()
            slower.step()
            with torch.no_grad():
                rows.clamp_(0, 1)
        return nearest

    return search


def _variation(pictures: Tensor) -> Tensor:
    return pictures.diff(dim=1).abs().mean() + pictures.diff(dim=2).abs().mean()
