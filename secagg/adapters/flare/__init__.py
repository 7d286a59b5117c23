"""NVIDIA FLARE: `SecAggRecipe` in place of FLARE's FedAvgRecipe; the training script stays as it is.

Raises `MissingExtra`, or `ParameterError` for a version that was not tested. A site loads no recipe, and no PyTorch.
"""

from importlib import import_module
from typing import Any

from secagg.extras import check_version, needed

with needed("flare"):
    check_version("flare", "nvflare", tested="2.9.0")

__all__ = ["NumpySecAggRecipe", "SecAggRecipe"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(".pytorch" if name == "SecAggRecipe" else ".recipe", __name__), name)
