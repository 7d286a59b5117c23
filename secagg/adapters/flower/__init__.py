"""Flower: `secagg_mod` in the ClientApp, `SecAgg(strategy)` in the ServerApp; training and strategy stay as they are.

Importing it without Flower raises `MissingExtra`, which names the extra.
"""

from secagg.extras import needed

with needed("flower"):
    from secagg.adapters.flower.mod import secagg_mod
    from secagg.adapters.flower.strategy import SecAgg

__all__ = ["SecAgg", "secagg_mod"]
