"""Secure single-server aggregation with (poly)logarithmic overhead (Bell et al., CCS'20), semi-honest."""

from ..bonawitz.client import BonawitzClient
from .params import SecAggPlus
from .server import SecAggPlusServer

SecAggPlus.machines = BonawitzClient, SecAggPlusServer

__all__ = ["SecAggPlus"]
