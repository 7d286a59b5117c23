"""The private gradient (Abadi et al., CCS'16, Algorithm 1): clip each unit's gradient, add them up, add noise.

A unit is what ε protects: a row, or a patient, whose gradient is the mean of those of its rows.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.func import vmap

from .examples import Examples
from .model import Model
from .stream import SiteStream

Gradient = dict[str, Tensor]


def clipped_sum(model: Model, params: dict[str, Tensor], examples: Examples, clip_norm: float) -> Gradient:
    """Return the sum over units of their gradients, each scaled down to L2 norm ≤ `clip_norm` over all parameters.

    One unit more or less changes the sum by at most `clip_norm`, whatever is in it and however many rows it has: a
    gradient that is not finite counts as zero.
    """
    total = {name: torch.zeros_like(tensor) for name, tensor in params.items()}
    for part in examples.parts():
        per_unit = _unit_gradients(model, params, part)
        squared = torch.stack([g.flatten(1).square().sum(1) for g in per_unit.values()]).sum(0)
        finite = squared.isfinite()
        factor = clip_norm / squared.sqrt().clamp(min=clip_norm)
        for name, gradients in per_unit.items():
            total[name] += torch.tensordot(factor[finite], gradients[finite], dims=1)
    return total


def _unit_gradients(model: Model, params: dict[str, Tensor], examples: Examples) -> Gradient:
    """Return the gradient of each unit's mean loss: the mean over its rows."""
    # Every row has parameters of its own, all equal. `torch.func.grad` would load torch's compiler: seconds.
    own = {
        name: tensor.detach().expand(len(examples.y), *tensor.shape).requires_grad_() for name, tensor in params.items()
    }
    losses = vmap(model.row_loss)(own, examples.x, examples.y)
    per_row = dict(zip(own, torch.autograd.grad(losses.sum(), tuple(own.values())), strict=True))
    rows = torch.bincount(examples.unit_of)
    means = {}
    for name, gradients in per_row.items():
        total = gradients.new_zeros(len(rows), *gradients.shape[1:]).index_add(0, examples.unit_of, gradients)
        means[name] = total / rows.reshape(-1, *[1] * (gradients.ndim - 1))
    return means


def add_noise(gradient: Gradient, standard_deviation: float, stream: SiteStream) -> Gradient:
    """Return the gradient with independent Gaussian noise on every coordinate, from the site's own stream."""
    return {
        name: tensor + standard_deviation * torch.from_numpy(stream.normal(tensor.numel())).reshape(tensor.shape)
        for name, tensor in gradient.items()
    }
