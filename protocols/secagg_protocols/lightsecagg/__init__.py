"""One-shot recovery of the aggregate mask (So et al., LightSecAgg, MLSys'22)."""

from .client import LightSecAggClient
from .params import LightSecAgg
from .server import LightSecAggServer

LightSecAgg.machines = LightSecAggClient, LightSecAggServer

__all__ = ["LightSecAgg"]
