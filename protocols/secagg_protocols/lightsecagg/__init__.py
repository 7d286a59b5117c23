"""One-shot recovery of the aggregate mask (So et al., LightSecAgg, MLSys'22)."""

from .params import LightSecAgg

__all__ = ["LightSecAgg"]
