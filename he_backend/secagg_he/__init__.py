"""Homomorphic aggregation as schemes of `secagg_protocols`. Importing it needs no extra; its machines need `he`."""

from .group_key import GroupKey, GroupKeyHandle
from .releases import BudgetSpent
from .single_key import Bfv, Ckks
from .threshold import ThresholdCkks

SCHEMES = (ThresholdCkks, Bfv, Ckks)
"""The schemes of this package."""

__all__ = ["SCHEMES", "Bfv", "BudgetSpent", "Ckks", "GroupKey", "GroupKeyHandle", "ThresholdCkks"]
