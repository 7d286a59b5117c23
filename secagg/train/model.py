"""The models: binary classifiers whose parameters are a plain mapping of named float64 arrays."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.func import functional_call
from torch.nn.functional import binary_cross_entropy_with_logits

Params = dict[str, NDArray[np.float64]]
"""Name to array: what travels, is digested, encoded and averaged."""


class Model:
    """A network without parameters of its own; every call is given them."""

    def __init__(self, kind: str, features: int, hidden: int) -> None:
        layers: list[torch.nn.Module] = [torch.nn.Linear(features, 1)]
        if kind == "mlp":
            layers = [torch.nn.Linear(features, hidden), torch.nn.Tanh(), torch.nn.Linear(hidden, 1)]
        self._network = torch.nn.Sequential(*layers).to(torch.float64).requires_grad_(False)

    def initial(self, rng: np.random.Generator) -> Params:
        """Return fresh parameters: weights uniform in ±1/√inputs, biases zero."""
        params: Params = {}
        for name, tensor in self._network.state_dict().items():
            bound = 1 / np.sqrt(tensor.shape[-1]) if tensor.ndim > 1 else 0.0
            params[name] = rng.uniform(-bound, bound, size=tuple(tensor.shape))
        return params

    def logits(self, params: Mapping[str, Tensor], x: Tensor) -> Tensor:
        """Return one logit per row of x (rows, features)."""
        result: Tensor = functional_call(self._network, dict(params), (x,))
        return result.squeeze(-1)

    def row_loss(self, params: Mapping[str, Tensor], x: Tensor, y: Tensor) -> Tensor:
        """Return the cross-entropy of one row: x (features,), y scalar 0 or 1."""
        return binary_cross_entropy_with_logits(self.logits(params, x), y)

    def scores(self, params: Params, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the logits of rows x as numpy; above 0 means class 1."""
        scores: NDArray[np.float64] = self.logits(tensors(params), torch.from_numpy(x)).numpy()
        return scores


def tensors(params: Params) -> dict[str, Tensor]:
    """Return torch copies of the arrays."""
    return {name: torch.tensor(array, dtype=torch.float64) for name, array in params.items()}
