"""Key-additive RLWE with one-time keys and no dealer: only the sum of the survivors' keys is ever opened."""

from .client import ThresholdCkksClient
from .params import ThresholdCkks
from .server import ThresholdCkksServer

ThresholdCkks.machines = ThresholdCkksClient, ThresholdCkksServer

__all__ = ["ThresholdCkks"]
