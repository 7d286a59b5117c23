"""The private gradient (Abadi et al., CCS'16, Algorithm 1): clip each row's gradient, add them up, add noise."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.func import grad, vmap

from .model import Model
from .stream import SiteStream

Gradient = dict[str, Tensor]

ROWS_AT_ONCE = 4096
"""Gradients of single rows take rows × parameters of memory, so a large lot is done in parts."""


def clipped_sum(model: Model, params: dict[str, Tensor], x: Tensor, y: Tensor, clip_norm: float) -> Gradient:
    """Return the sum over rows of their gradients, each scaled down to L2 norm ≤ `clip_norm` over all parameters.

    x float64 (rows, features), y float64 (rows,). One row more or less changes the sum by at most `clip_norm`, whatever
    is in it: a gradient that is not finite counts as zero.
    """
    total = {name: torch.zeros_like(tensor) for name, tensor in params.items()}
    for first in range(0, len(y), ROWS_AT_ONCE):
        part = slice(first, first + ROWS_AT_ONCE)
        per_row: Gradient = vmap(grad(model.row_loss), in_dims=(None, 0, 0))(params, x[part], y[part])
        squared = torch.stack([g.flatten(1).square().sum(1) for g in per_row.values()]).sum(0)
        finite = squared.isfinite()
        factor = clip_norm / squared.sqrt().clamp(min=clip_norm)
        for name, gradients in per_row.items():
            total[name] += torch.tensordot(factor[finite], gradients[finite], dims=1)
    return total


def add_noise(gradient: Gradient, standard_deviation: float, stream: SiteStream) -> Gradient:
    """Return the gradient with independent Gaussian noise on every coordinate, from the site's own stream."""
    return {
        name: tensor + standard_deviation * torch.from_numpy(stream.normal(tensor.numel())).reshape(tensor.shape)
        for name, tensor in gradient.items()
    }
