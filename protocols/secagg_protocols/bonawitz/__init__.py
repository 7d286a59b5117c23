"""Practical secure aggregation with dropout recovery (Bonawitz et al., CCS'17)."""

from .client import BonawitzClient
from .params import Bonawitz
from .server import BonawitzServer

Bonawitz.machines = BonawitzClient, BonawitzServer

__all__ = ["Bonawitz"]
