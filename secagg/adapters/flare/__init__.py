"""NVIDIA FLARE: `SecAggRecipe` in place of FLARE's FedAvgRecipe; the training script stays as it is.

Importing it without FLARE raises `MissingExtra`, which names the extra; with a version that was not tested,
`ParameterError`. A recipe is loaded when it is asked for: a site needs none, nor PyTorch.
"""

from importlib import import_module
from typing import Any

from secagg.extras import check_version, needed

with needed("flare"):
    import nvflare  # noqa: F401

check_version("flare", "nvflare", tested="2.9.0")

_MODULES = {"NumpySecAggRecipe": "numpy_recipe", "SecAggRecipe": "pytorch_recipe"}

__all__ = ["NumpySecAggRecipe", "SecAggRecipe"]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
