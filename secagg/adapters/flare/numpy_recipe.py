"""The recipe for models that are one numpy array."""

from nvflare.app_common.np.recipes.fedavg import NumpyFedAvgRecipe

from .recipe import SecureRecipe


class NumpySecAggRecipe(SecureRecipe, NumpyFedAvgRecipe):  # type: ignore[misc]  # nvflare is not type-checked here
    """FLARE's NumpyFedAvgRecipe, with secure sums: its arguments, and those of `SecureRecipe`."""
