"""Small networks whose updates are attacked, and what sites send of them. Needs torch: import it where it is needed."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..released import Floats

Network = Callable[[int, int], nn.Module]
"""Makes a network by its number of inputs (of a square picture: its pixels) and of classes."""

KERNEL = 3
FILTERS = 12
NARROW = 16
WIDE = 128
"""Neurons of a dense layer."""
STEPS = 100
"""Of a training, each over all rows."""


DECAY = 0.01
"""Keeps models from being so sure that rows teach them nothing."""


def sigmoid_cnn(inputs: int, classes: int) -> nn.Module:
    """Return a convolutional network whose activations are smooth, drawn wide as its attack's paper has it."""
    side = round(inputs**0.5)
    convolutions = [_convolution(1, stride=2), nn.Sigmoid(), _convolution(FILTERS, stride=1), nn.Sigmoid()]
    last = nn.Linear(FILTERS * (side // 2) ** 2, classes)
    return _drawn_wide(nn.Sequential(nn.Unflatten(1, (1, side, side)), *convolutions, nn.Flatten(), last))


def relu_cnn(inputs: int, classes: int) -> nn.Module:
    """Return a small convolutional network as people train it."""
    side = round(inputs**0.5)
    convolutions = [_convolution(1, stride=2), nn.ReLU(), _convolution(FILTERS, stride=2), nn.ReLU()]
    last = nn.Linear(FILTERS * (side // 4) ** 2, classes)
    return nn.Sequential(nn.Unflatten(1, (1, side, side)), *convolutions, nn.Flatten(), last)


def mlp(inputs: int, classes: int) -> nn.Module:
    """Return a small network of dense layers."""
    layers = [nn.Linear(inputs, NARROW), nn.ReLU(), nn.Linear(NARROW, NARROW), nn.ReLU(), nn.Linear(NARROW, classes)]
    return nn.Sequential(*layers)


def smooth_mlp(inputs: int, classes: int) -> nn.Module:
    """Return a network with one smooth dense layer, drawn wide."""
    network = nn.Sequential(nn.Linear(inputs, NARROW), nn.Sigmoid(), nn.Linear(NARROW, classes))
    return _drawn_wide(network)


def wide_mlp(inputs: int, classes: int) -> nn.Module:
    """Return a network with one wide dense layer, as people train it on tables."""
    return nn.Sequential(nn.Linear(inputs, WIDE), nn.ReLU(), nn.Linear(WIDE, classes))


def _drawn_wide(network: nn.Module) -> nn.Module:
    for parameter in network.parameters():
        nn.init.uniform_(parameter, -0.5, 0.5)
    return network


def _convolution(channels: int, stride: int) -> nn.Module:
    return nn.Conv2d(channels, FILTERS, KERNEL, padding=KERNEL // 2, stride=stride)


def fresh(network: Network, inputs: int, classes: int, seed: int) -> nn.Module:
    """Return a network as it is drawn before the first round."""
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    return network(inputs, classes)


def train(model: nn.Module, x: Floats, y: NDArray[np.int64]) -> None:
    """Train it on these rows, so that it is as in a later round."""
    rows, classes = tensors(x, y)
    optimiser = torch.optim.Adam(model.parameters(), lr=0.01, weight_decay=DECAY)
    for _ in range(STEPS):
        optimiser.zero_grad()
        nn.functional.cross_entropy(model(rows), classes).backward()  # type: ignore[no-untyped-call]
        optimiser.step()


def contrast(model: nn.Module) -> Floats:
    """Return by how much more the second class than the first grows with each neuron of the last dense layer."""
    *_, weights, _ = model.parameters()
    return (weights[1] - weights[0]).detach().numpy().astype(np.float64)


def tensors(x: Floats, y: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
    """Return rows and their classes as the networks take them."""
    return torch.from_numpy(x.astype(np.float32)), torch.from_numpy(y)


def gradient(model: nn.Module, x: Tensor, y: Tensor, *, differentiable: bool = False) -> Tensor:
    """Return the gradient of the sum of the rows' losses, layer after layer in one vector."""
    loss = nn.functional.cross_entropy(model(x), y, reduction="sum")
    parts = torch.autograd.grad(loss, list(model.parameters()), create_graph=differentiable)
    return torch.cat([part.flatten() for part in parts])


def row_gradients(model: nn.Module, x: Floats, y: NDArray[np.int64]) -> Floats:
    """Return each row's gradient, (rows, values): what `released` takes of a site."""
    rows, classes = tensors(x, y)
    each = [gradient(model, rows[[row]], classes[[row]]).numpy() for row in range(len(rows))]
    return np.array(each, dtype=np.float64)
