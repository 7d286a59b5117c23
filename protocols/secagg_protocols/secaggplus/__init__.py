"""Secure single-server aggregation with (poly)logarithmic overhead (Bell et al., CCS'20), semi-honest."""

from .client import SecAggPlusClient
from .params import SecAggPlus
from .server import SecAggPlusServer

SecAggPlus.machines = SecAggPlusClient, SecAggPlusServer

__all__ = ["SecAggPlus"]
