"""The recipe for PyTorch models."""

from secagg.extras import needed

from .recipe import SecureRecipe

with needed("train"):  # PyTorch, which FLARE does not bring
    from nvflare.app_opt.pt.recipes.fedavg import FedAvgRecipe


class SecAggRecipe(SecureRecipe, FedAvgRecipe):  # type: ignore[misc]  # nvflare is not type-checked here
    """FLARE's FedAvgRecipe for PyTorch, with secure sums: its arguments, and those of `SecureRecipe`."""
