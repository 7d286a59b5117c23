"""Secure single-server aggregation with (poly)logarithmic overhead (Bell et al., CCS'20), semi-honest.

Its machines are Bonawitz': what is different is the graph, whose keys a member hears, and how k and t are derived.
"""

from ..bonawitz.client import BonawitzClient
from ..bonawitz.server import BonawitzServer
from .params import SecAggPlus

SecAggPlus.machines = BonawitzClient, BonawitzServer

__all__ = ["SecAggPlus"]
