"""Key-additive RLWE with one-time keys and no dealer: only the sum of the survivors' keys is ever opened."""

from .params import ThresholdCkks

__all__ = ["ThresholdCkks"]
